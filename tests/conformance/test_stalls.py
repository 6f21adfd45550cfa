"""Back-pressure: a run waits for an output that reads nothing for minutes, and full pipes never deadlock it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dstream.host import RestartPolicy
from tests.conformance.runs import Background, Recorded, job, provider, run, sink_numbers, stored_state
from tests.running import wait_until

STEP_S = 30.0
STALL_S = 600.0


class Clock:
    """A clock that moves only when the test advances it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_an_output_that_stalls_for_minutes_causes_no_restart_and_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORE", "heartbeat")
    monkeypatch.setenv("OUT_MORE", "heartbeat")
    clock, go = Clock(), tmp_path / "go"
    stalling = provider("output.py", 12, fault="stalls", go=str(go), sink=str(tmp_path / "sink"))
    # More rows than the pipes and the relay hold, so the relay blocks and the input can't even send a heartbeat.
    wide = provider("input.py", 3, rows=200, size=50_000)
    running = Background(job(tmp_path, input=wide, output=stalling, restart=RestartPolicy()), clock)
    running.events.wait_for("run.started")
    start_s = clock.now_s
    while clock.now_s < start_s + STALL_S:
        # The output is alive: it sends heartbeats between steps, and each step is shorter than the silence timeout.
        wait_for_heartbeats(running.events, 2)
        clock.now_s += STEP_S
    assert running.events.last_progress.rows_settled == 0
    go.touch()
    summary = running.result()
    assert (summary.drained, summary.rows, summary.progress.restarts) == (True, 200, 0)
    assert not running.events.named("run.restarting")
    assert sink_numbers(tmp_path) == list(range(200))


def wait_for_heartbeats(events: Recorded, count: int) -> None:
    wanted = len(events.named("provider.log")) + count
    events.wait_until(lambda: len(events.named("provider.log")) >= wanted)


def test_pipes_full_in_both_directions_do_not_deadlock(tmp_path: Path) -> None:
    # Both write megabytes to stderr, the output also to stdout, while 2 MB of rows are pending; the input reads no acks.
    events = Recorded()
    chatty = provider("output.py", 12, fault="chatters", sink=str(tmp_path / "sink"))
    wide = provider("input.py", 3, fault="chatters", rows=20, size=200_000, every=2, after=0)
    summary = run(job(tmp_path, input=wide, output=chatty), events)
    assert (summary.drained, summary.rows) == (True, 20)
    assert sink_numbers(tmp_path) == list(range(20))


def test_a_pause_of_the_host_is_not_taken_for_silence_of_its_providers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container or a VM that is paused for minutes: the providers were paused as well."""
    monkeypatch.setenv("MORE", "heartbeat")
    clock = Clock()
    quiet = provider("input.py", 3, hold=True, fault="silent", after=99)
    running = Background(job(tmp_path, input=quiet, restart=RestartPolicy()), clock)
    running.events.wait_for("run.started")
    wait_until(lambda: (stored_state(tmp_path) or {}).get("state") == {"next": 10}, "the last row")
    told = len(running.events.told)
    clock.now_s += STALL_S
    running.events.wait_until(lambda: len(running.events.told) > told)  # after a look at both
    running.stop.request()
    summary = running.result()
    assert (summary.drained, summary.rows, summary.progress.restarts) == (True, 10, 0)
