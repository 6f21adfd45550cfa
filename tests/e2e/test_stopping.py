"""Ctrl-C, SIGTERM, a second Ctrl-C and a killed host: what is delivered, what is repeated, which processes remain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from dstream_sandbox import workload

from tests.running import DStream, Sandbox, wait_until


@pytest.fixture(scope="session")
def source(sandbox: Sandbox) -> Sandbox:
    with contextlib.closing(sandbox.connect()) as connection:
        workload.create_tables(connection)
        workload.Load(connection, seed=5).run(1000)
    return sandbox


@pytest.fixture
def orders(source: Sandbox, example: Callable[[str], Path], request: pytest.FixtureRequest) -> tuple[DStream, str]:
    """The orders example, publishing to this test's own queue."""
    queue = f"q-{abs(hash(request.node.name))}"
    source.create_queue(queue)
    folder = example("orders")
    hcl = folder / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace('"orders"\n    }', f'"{queue}"\n    }}'))
    return DStream(folder, source.env), queue


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_next_run_repeats_nothing(
    source: Sandbox, orders: tuple[DStream, str], signal_number: int
) -> None:
    dstream, queue = orders
    with dstream.running("run", "orders") as run, ThreadPoolExecutor(1) as pool:
        run.says("run.started")
        writing = pool.submit(write, source, 1000)
        wait_until(lambda: stored_rows(dstream) > 1, "checkpoints with rows")
        os.kill(run.process.pid, signal_number)
        assert run.ended() == 0, run.stderr
        writing.result()
    assert "drained=true" in run.stderr
    first = source.receive(queue, 1)

    done = dstream("run", "orders", "--once")

    assert done.returncode == 0, done.stderr
    expected = changes(source)
    second = source.receive(queue, expected - len(first))
    ids = [message.id for message in first + second]
    assert len(ids) == len(set(ids)) == expected


def test_a_second_ctrl_c_exits_immediately_with_the_signals_code(source: Sandbox, orders: tuple[DStream, str]) -> None:
    dstream, _ = orders
    with dstream.running("run", "orders") as run:
        run.says("run.started")
        providers = run.children()
        stopped = [provider for provider in providers if "servicebus" in " ".join(provider.cmdline())]
        stopped[0].suspend()  # keeps the drain from finishing
        os.kill(run.process.pid, signal.SIGINT)
        run.says("drain")
        os.kill(run.process.pid, signal.SIGINT)
        assert run.ended(timeout_s=20) == 128 + signal.SIGINT
    wait_until(lambda: not any(alive(provider) for provider in providers), "both providers to exit")


def test_no_provider_outlives_a_killed_host(source: Sandbox, orders: tuple[DStream, str]) -> None:
    dstream, _ = orders
    with dstream.running("run", "orders") as run:
        run.says("run.started")
        providers = run.children()
        assert len(providers) == 2
        os.kill(run.process.pid, signal.SIGKILL)
        run.ended()
    wait_until(lambda: not any(alive(provider) for provider in providers), "both providers to exit")


def write(source: Sandbox, rows: int) -> None:
    with contextlib.closing(source.connect()) as connection:
        workload.Load(connection, seed=6).run(rows)


def stored_rows(dstream: DStream) -> int:
    """The number of the last stored checkpoint; the first one only marks where the stream started."""
    for path in dstream.cwd.glob(".dstream/state/*/orders.json"):
        return int(json.loads(path.read_text())["seq"])
    return 0


def changes(sandbox: Sandbox) -> int:
    """The number of rows in the change tables that become events."""
    return sum(
        sandbox.sql(f"SELECT COUNT(*) FROM cdc.[{table.replace('.', '_')}_CT] WHERE [__$operation] <> 3")[0][0]
        for table in workload.TABLES
    )


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
