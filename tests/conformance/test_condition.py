"""The condition of a run with real processes: a lost destination, one that takes no rows, and a pair that fails."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dstream.host import RestartPolicy
from dstream.state import open_store
from tests.conformance.runs import TASK, Background, job, provider
from tests.conformance.test_stalls import Clock

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT_MORE", "heartbeat")


def test_an_output_that_reconnects_makes_the_task_unready_until_it_sends_again(tmp_path: Path) -> None:
    go = tmp_path / "go"
    reason = f"sb.example.net: refused {SECRET}"
    output = provider("output.py", 12, fault="stalls", go=str(go), phase="reconnecting", reason=reason)
    output = replace(output, secrets=frozenset({SECRET}))
    running = Background(job(tmp_path, input=provider("input.py", 3, hold=True), output=output))
    lost = running.events.wait_for_progress(lambda progress: progress.condition.phase == "reconnecting").condition
    assert not lost.is_ready
    assert lost.reason == "output sink: sb.example.net: refused ***"
    go.touch()
    assert running.events.wait_for_progress(lambda progress: progress.condition.phase == "streaming").condition.is_ready
    running.stop.request()
    assert running.result().drained
    changes = [(event["was"], event["phase"]) for event in running.events.named("run.condition")]
    assert changes[-1] == ("reconnecting", "streaming")


def test_an_output_that_takes_no_rows_throttles_the_task(tmp_path: Path) -> None:
    clock, go = Clock(), tmp_path / "go"
    stalling = provider("output.py", 12, fault="stalls", go=str(go), phase="stream")
    wide = provider("input.py", 3, rows=200, size=50_000)
    running = Background(job(tmp_path, input=wide, output=stalling), clock)
    running.events.wait_for("run.started")

    def advanced() -> bool:
        clock.now_s += 1
        return running.events.last_progress.condition.phase == "throttled"

    running.events.wait_until(advanced)
    assert running.events.last_progress.condition.reason == "output sink takes no more rows"
    go.touch()
    assert running.result().drained


def test_a_failure_is_told_before_the_other_provider_has_ended(tmp_path: Path) -> None:
    stubborn = provider("input.py", 3, hold=True, ignores_sigterm=True)
    running = Background(job(tmp_path, input=stubborn, restart=RestartPolicy(), exit_grace_s=600.0))
    running.events.wait_for_progress(lambda progress: progress.last_seq == 2)
    pids = [event["pid"] for event in running.events.named("provider.ready")]
    os.kill(pids[0], signal.SIGKILL)
    failing = running.events.wait_for_progress(lambda progress: not progress.condition.is_ready).condition
    assert failing.phase == "restarting"
    assert failing.text() == "restarting after the end of output provider sink"
    assert not running.events.named("run.restarting")
    os.kill(pids[1], signal.SIGKILL)
    assert running.events.wait_for("run.restarting")["code"] == "provider.died"
    running.stop.request()
    running.result()


def test_a_summary_is_logged_only_if_something_has_happened(tmp_path: Path) -> None:
    held = provider("input.py", 3, hold=True)
    running = Background(job(tmp_path, input=held, summary_every_s=0.05, progress_every_s=0.01))
    running.events.wait_for_progress(lambda progress: progress.rows_settled == 10)
    running.events.wait_for("run.summary")
    told = len(running.events.told)

    def summaries() -> list[dict[str, Any]]:
        return running.events.named("run.summary")

    running.events.wait_until(lambda: len(running.events.told) > told + 3)  # the first summaries may tell the rows
    before = len(summaries())
    running.events.wait_until(lambda: len(running.events.told) > told + 9)
    assert len(summaries()) == before
    assert summaries()[-1]["phase"] == "streaming"
    running.stop.request()
    running.result()


def test_a_standby_that_is_stopped_has_finished(tmp_path: Path) -> None:
    with open_store(job(tmp_path).state, TASK).lease(datetime.now(UTC)):
        standby = Background(job(tmp_path, standby=True))
        standby.events.wait_for("lease.waiting")
        standby.stop.request()
        summary = standby.result()
    assert (summary.drained, summary.rows, summary.progress.condition.phase) == (True, 0, "finished")
