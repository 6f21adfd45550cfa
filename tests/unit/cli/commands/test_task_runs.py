"""How runs end: their exit codes, and that a defect in one task does not affect the others."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dstream.cli.commands import task_runs
from dstream.cli.commands.task_runs import Ended, TaskRuns
from dstream.cli.view.progress import RunLog
from dstream.errors import DStreamError, LockedError, UnreachableError
from dstream.host import Job, Progress, ProviderSpec, RunSummary, StopRequest
from dstream.state import StateLocation
from tests.running import wait_until

SECRET = "hunter2-and-more"
SPEC = ProviderSpec(argv=["true"], config={"password": SECRET}, label="x", secrets=frozenset({SECRET}))
JOB = Job(task="orders", run_id="r", input=SPEC, output=SPEC, state=StateLocation("dev", Path("unused")))


def summary(*, drained: bool) -> RunSummary:
    now = datetime.now(UTC)
    return RunSummary("orders", "r", now, now, 0.0, drained, Progress())


@pytest.mark.parametrize(
    ("outcome", "signal", "code"),
    [
        (summary(drained=True), 0, 0),
        (summary(drained=True), 15, 0),
        (summary(drained=False), 15, 143),
        (summary(drained=False), 0, 1),
        (LockedError("state.locked", ""), 0, 4),
        (UnreachableError("sql.down", ""), 2, 1),
    ],
)
def test_the_exit_code_follows_the_outcome(outcome: RunSummary | DStreamError, signal: int, code: int) -> None:
    assert Ended(JOB, outcome, was_running=True, signal=signal).exit_code == code


def test_a_defect_in_one_task_hides_secrets_and_spares_other_tasks(tmp_path: Path) -> None:
    nowhere: Any = f"not a path: {SECRET}"
    log = RunLog(io.StringIO(), level="info", log_format="text")
    runs = TaskRuns(
        [
            replace(JOB, state=StateLocation("dev", nowhere)),
            replace(JOB, task="other", state=StateLocation("dev", tmp_path)),
        ],
        lambda job: log.of(job.task),
        fail_fast=False,
    )
    ends = {ended.job.task: ended.outcome for ended in runs.ends()}
    defect, other = ends["orders"], ends["other"]
    assert isinstance(defect, DStreamError)
    assert defect.code == "run.crashed"
    assert SECRET not in defect.message + "".join(defect.details)
    assert isinstance(other, DStreamError)
    assert other.code == "provider.died"


def test_a_task_without_a_thread_fails_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def start_unless_orders(thread: threading.Thread) -> None:
        if thread.name == "run-orders":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_unless_orders)
    log = RunLog(io.StringIO(), level="info", log_format="text")
    jobs = [
        replace(JOB, state=StateLocation("dev", tmp_path)),
        replace(JOB, task="other", state=StateLocation("dev", tmp_path)),
    ]
    ends = {
        ended.job.task: ended.outcome for ended in TaskRuns(jobs, lambda job: log.of(job.task), fail_fast=False).ends()
    }
    codes = {task: outcome.code for task, outcome in ends.items() if isinstance(outcome, DStreamError)}
    assert codes == {"orders": "provider.no_resources", "other": "provider.died"}


def test_an_error_in_a_reload_drains_the_runs_before_it_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise their threads would go on, out of reach of the signals that stop them."""
    ended: list[str] = []

    def run_task(job: Job, *, stop: StopRequest, **_: Any) -> RunSummary:
        wait_until(lambda: stop.is_requested, "the stop")
        ended.append(job.task)
        return summary(drained=True)

    def load() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(task_runs, "run_task", run_task)
    log = RunLog(io.StringIO(), level="info", log_format="text")
    jobs = [replace(JOB, state=StateLocation("dev", tmp_path)), replace(JOB, task="other")]
    runs = TaskRuns(jobs, lambda job: log.of(job.task), fail_fast=False, load=load)
    runs.reload()
    with pytest.raises(KeyError):
        list(runs.ends())
    assert sorted(ended) == ["orders", "other"]
