"""A provider's death is reported at once, whatever the other provider does, and a stop request then ends the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dstream.errors import DStreamError
from dstream.host import RestartPolicy, StopRequest
from dstream.host.run import pair
from tests.conformance.runs import Background, Recorded, job, lose_patience, provider, run, sink_numbers

NEVER_S = 600.0
STUBBORN = {"ignores_sigterm": True}


class Watched(Recorded):
    """Calls `react` while the host reports a provider's exit, i.e. before the host does anything else."""

    react: Callable[[], Any] = staticmethod(lambda: None)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        super().log(level, event, **fields)
        if event == "provider.exited":
            self.react()

    def pid(self, role: str) -> int:
        return next(int(fields["pid"]) for fields in self.named("provider.ready") if fields["role"] == role)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's deadlines never pass, so a test that depends on one of them times out."""
    monkeypatch.setattr(pair, "LAST_WORDS_S", NEVER_S)
    monkeypatch.setattr(pair, "ORPHANED_S", NEVER_S)


@pytest.mark.parametrize(("dies", "other"), [("input", "output"), ("output", "input")])
def test_a_death_is_reported_while_the_other_provider_still_runs(
    dies: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_patience(monkeypatch)
    events = Watched()
    alive: list[bool] = []
    events.react = lambda: alive.append(psutil.pid_exists(events.pid(other)))
    input_ = provider("input.py", 3, hold=True, **STUBBORN)
    output = provider("output.py", 12, sink=str(tmp_path / "sink"), **STUBBORN)
    running = Background(job(tmp_path, input=input_, output=output), events=events)
    events.wait_for_progress(lambda progress: progress.last_seq == 2)
    os.kill(events.pid(dies), signal.SIGKILL)
    with pytest.raises(DStreamError, match=f"{dies} provider .* was killed by SIGKILL"):
        running.result()
    assert alive == [True]
    assert events.named("provider.exited") == [
        {
            "task": "orders",
            "role": dies,
            "provider": {"input": "rows", "output": "sink"}[dies],
            "reason": "was killed by SIGKILL",
        }
    ]


@pytest.mark.usefixtures("impatient")
def test_a_killed_input_is_replaced_although_its_rows_are_stuck_behind_a_slow_output(tmp_path: Path) -> None:
    input_ = provider("input.py", 3, rows=400, size=20_000, hold=True)
    running = Background(job(tmp_path, input=input_, output=provider("output.py", 12, fault="idle")))
    running.events.wait_for_progress(lambda progress: progress.bytes_relayed > 1_000_000)
    os.kill(running.events.named("provider.ready")[1]["pid"], signal.SIGKILL)
    with pytest.raises(DStreamError, match=r"input provider .* was killed by SIGKILL"):
        running.result()


@pytest.mark.usefixtures("impatient")
def test_a_killed_output_is_noticed_although_a_process_it_left_behind_holds_its_pipes(tmp_path: Path) -> None:
    child = tmp_path / "child"
    output = provider("output.py", 12, fault="child", child=str(child), detached=True)
    running = Background(job(tmp_path, input=provider("input.py", 3, hold=True), output=output))
    try:
        running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
        os.kill(running.events.named("provider.ready")[0]["pid"], signal.SIGKILL)
        with pytest.raises(DStreamError, match=r"output provider .* was killed by SIGKILL"):
            running.result()
    finally:
        os.kill(int(child.read_text()), signal.SIGKILL)


def test_a_stop_request_right_after_a_death_interrupts_the_run_instead_of_failing_it(tmp_path: Path) -> None:
    events, stop = Watched(), StopRequest()
    events.react = stop.request
    output = provider("output.py", 12, fault="killed", at=2)
    the_job = job(tmp_path, input=provider("input.py", 3, hold=True), output=output, restart=RestartPolicy())
    summary = run(the_job, events, stop)
    assert (summary.drained, summary.progress.last_seq) == (False, 1)


@pytest.mark.usefixtures("impatient")
def test_a_second_stop_request_kills_a_provider_that_outstays_the_other(tmp_path: Path) -> None:
    events, stop = Watched(), StopRequest()
    events.react = lambda: (stop.request(), stop.request())
    input_ = provider("input.py", 3, hold=True, **STUBBORN)
    output = provider("output.py", 12, fault="killed", at=2, sink=str(tmp_path / "sink"))
    summary = run(job(tmp_path, input=input_, output=output, restart=RestartPolicy()), events, stop)
    assert not summary.drained
    assert not psutil.pid_exists(events.pid("input"))
    assert sink_numbers(tmp_path)[:5] == list(range(5))


def test_an_error_while_draining_fails_the_run(tmp_path: Path) -> None:
    output = provider("output.py", 12, fault="forgets", hold_acks=99)
    running = Background(
        job(tmp_path, input=provider("input.py", 3, hold=True), output=output, restart=RestartPolicy())
    )
    running.events.wait_for_progress(lambda progress: progress.rows_relayed == 10)
    running.stop.request()
    with pytest.raises(DStreamError, match="exited with code 0"):
        running.result()
