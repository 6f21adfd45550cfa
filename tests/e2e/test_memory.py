"""A transaction of any size streams in bounded memory: 200,000 rows in the suite, a million in `make soak`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench import source
from tests.running import DStream, Sandbox, wait_until

READER_MIB = 200
HOST_MIB = 100
OUTPUT_MIB = 200

HCL = """
task "wide" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Wide"]
    }
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "wide"
    }
  }
}
"""


@pytest.fixture
def counting_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox whose broker counts messages but stores none."""
    sandbox = Sandbox(tmp_path / "sandbox", "--sink").start()
    yield sandbox
    sandbox.stop()


def test_a_transaction_of_200_000_rows_uses_bounded_memory(
    counting_sandbox: Sandbox, dstream: Callable[..., DStream]
) -> None:
    check_memory(counting_sandbox, dstream, 200_000)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_transaction_of_a_million_rows_uses_bounded_memory(
    counting_sandbox: Sandbox, dstream: Callable[..., DStream]
) -> None:
    check_memory(counting_sandbox, dstream, 1_000_000)


def check_memory(sandbox: Sandbox, dstream: Callable[..., DStream], rows: int) -> None:
    source.create(sandbox, "Wide")
    source.fill(sandbox, "Wide", rows)
    with dstream(HCL, sandbox.env).running("run", "wide") as run:
        run.says("run.started")
        peaks = {"host": run.process.pid, "reader": run.child("mssql").pid, "output": run.child("servicebus").pid}
        wait_until(lambda: received(sandbox) >= rows or run.process.poll() is not None, f"{rows} messages", 900)
        megabytes = {role: peak_mib(pid) for role, pid in peaks.items()}
        os.kill(run.process.pid, signal.SIGTERM)
        assert run.ended() == 0, run.stderr
    assert received(sandbox) == rows
    assert megabytes["host"] < HOST_MIB, megabytes
    assert megabytes["reader"] < READER_MIB, megabytes
    assert megabytes["output"] < OUTPUT_MIB, megabytes


def received(sandbox: Sandbox) -> int:
    return int(sandbox.control("counters")["messages"])


def peak_mib(pid: int) -> float:
    """The peak resident memory so far (VmHWM, proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmHWM of {pid}")
