"""Whichever process is killed, no process is left running and no stored state is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstream.errors import DStreamError
from tests.conformance.runs import Background, job, provider, run, sink_numbers, stored_state

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("role", ["input", "output"])
def test_a_killed_provider_ends_the_run_and_the_other_provider(role: str, tmp_path: Path) -> None:
    running = Background(job(tmp_path, input=provider("input.py", 3, rows=7, every=3, hold=True)))
    running.events.wait_for_progress(lambda progress: progress.last_seq == 3)
    pids = {fields["role"]: fields["pid"] for fields in running.events.named("provider.ready")}
    os.kill(pids[role], signal.SIGKILL)
    with pytest.raises(DStreamError, match=f"{role} provider .* was killed by SIGKILL") as caught:
        running.result()
    assert caught.value.code == "provider.died"
    assert all(gone(pid) for pid in pids.values())
    document = stored_state(tmp_path)
    assert document is not None
    assert document["state"] == {"next": 7}


def test_providers_exit_when_the_host_is_killed_and_the_next_run_resumes(tmp_path: Path) -> None:
    # Neither provider reads its stdin anymore, so only the parent-death signal can end them.
    with hosted(tmp_path, {"rows": 300, "size": 20_000, "every": 5}, {"fault": "idle"}) as host:
        pids = [host.wait_for(ready(role))["pid"] for role in ("output", "input")]
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        wait_until(lambda: all(gone(pid) for pid in pids), "both providers have ended")
    run(job(tmp_path, input=provider("input.py", 3, rows=4)))
    assert sink_numbers(tmp_path) == [0, 1, 2, 3]


def test_a_providers_child_processes_end_with_it(tmp_path: Path) -> None:
    child = tmp_path / "child"
    run(job(tmp_path, output=provider("output.py", 12, fault="child", child=str(child))))
    pid = int(child.read_text())
    wait_until(lambda: gone(pid), "the provider's own child has ended")


def test_a_terminal_interrupt_drains_and_does_not_reach_the_providers(tmp_path: Path) -> None:
    config = {"rows": 7, "every": 3, "hold": True}
    with hosted(tmp_path, config, {"sink": str(tmp_path / "sink")}) as host:
        host.wait_for(lambda event: event.get("rows") == 7)
        os.killpg(host.process.pid, signal.SIGINT)
        assert host.process.wait(20) == 0
    assert sink_numbers(tmp_path) == list(range(7))


def test_a_second_interrupt_exits_immediately(tmp_path: Path) -> None:
    with hosted(tmp_path, {"hold": True, "fault": "deaf", "after": 99}, {}) as host:
        host.wait_for(lambda event: event.get("rows") == 10)
        host.process.send_signal(signal.SIGINT)
        host.wait_for(lambda event: event["event"] == "run.draining")
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(20) == 130


@pytest.mark.parametrize(
    "output",
    [
        pytest.param({"fault": "idle"}, id="reads nothing"),
        pytest.param({"hold_acks": 10**9}, id="acknowledges nothing"),
    ],
)
def test_a_slow_output_blocks_the_input_in_bounded_memory(output: dict[str, Any], tmp_path: Path) -> None:
    # 200 MB of rows from an input that ignores max_in_flight, with a checkpoint (and its state) every 5 rows.
    with hosted(tmp_path, {"rows": 4000, "size": 50_000, "every": 5}, output) as host:
        host.wait_for(ready("input"))
        process = psutil.Process(host.process.pid)
        input_process = psutil.Process(host.wait_for(ready("input"))["pid"])
        wait_until(lambda: is_blocked(input_process), "the input is blocked")
        assert process.memory_info().rss < 80e6
        # Two different signals, because a pending signal is not delivered twice.
        host.process.send_signal(signal.SIGTERM)
        host.process.send_signal(signal.SIGINT)
        assert host.process.wait(20) == 130


class Hosted:
    """A host process and its events."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._events: list[dict[str, Any]] = []

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for event in self._events:
            if wanted(event):
                return event
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.append(json.loads(line))
            if wanted(self._events[-1]):
                return self._events[-1]
        raise AssertionError(f"the host ended: {self._events}")


@contextmanager
def hosted(folder: Path, input_config: dict[str, Any], output_config: dict[str, Any]) -> Iterator[Hosted]:
    arguments = [str(folder), json.dumps(input_config), json.dumps(output_config)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.hosted", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Hosted(process)
    finally:
        process.kill()
        process.communicate()


def ready(role: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "provider.ready" and event["role"] == role


def is_blocked(process: psutil.Process) -> bool:
    """Whether the process has written at least a megabyte and is now unable to write."""
    before = process.io_counters().write_chars
    time.sleep(0.3)
    return before > 1e6 and process.io_counters().write_chars == before


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)
