"""A run is ready while rows of every task can flow. Each task that is not ready has a reason."""

from __future__ import annotations

from dstream.host import Condition, Progress
from dstream.telemetry.health import RunsWatch

STREAMING = Progress(condition=Condition("streaming", is_ready=True))
THROTTLED = Progress(condition=Condition("throttled", "output servicebus: server busy", is_ready=True))
RESTARTING = Progress(condition=Condition("restarting", "provider.silent: silent for 60 s"))


def test_a_task_is_not_ready_before_its_run_reports() -> None:
    runs = RunsWatch(["orders"])
    assert runs.readiness().document() == {
        "schema_version": 1,
        "ready": False,
        "tasks": {"orders": {"ready": False, "phase": "starting", "reason": "starting"}},
    }


def test_a_run_is_ready_once_every_task_is() -> None:
    runs = RunsWatch(["a", "b"])
    runs.of("a").progress(STREAMING)
    assert not runs.readiness().is_ready
    runs.of("b").progress(THROTTLED)
    assert runs.readiness().document() == {
        "schema_version": 1,
        "ready": True,
        "tasks": {
            "a": {"ready": True, "phase": "streaming", "reason": ""},
            "b": {"ready": True, "phase": "throttled", "reason": "throttled: output servicebus: server busy"},
        },
    }


def test_one_restarting_task_makes_the_run_unready_with_the_reason() -> None:
    runs = RunsWatch(["a", "b"])
    runs.of("a").progress(STREAMING)
    runs.of("b").progress(RESTARTING)
    assert not runs.readiness().is_ready
    assert runs.readiness().document()["tasks"]["b"] == {
        "ready": False,
        "phase": "restarting",
        "reason": "restarting after provider.silent: silent for 60 s",
    }


def test_rows_relayed_never_decrease_after_a_restart() -> None:
    watch = RunsWatch(["orders"]).of("orders")
    watch.progress(Progress(rows_relayed=100, rows_settled=60))
    watch.progress(Progress(rows_relayed=70, rows_settled=60))
    assert (watch.most_rows_relayed, watch.progress_now.rows_relayed) == (100, 70)
