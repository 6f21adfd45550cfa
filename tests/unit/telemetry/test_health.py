"""A run is ready once both providers of every task are. Each task that is not ready has a reason."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.host import Progress
from dstream.telemetry.health import RunsWatch

FAILURE = {"code": "provider.silent", "message": "silent for 60 s"}


def watched(*events: tuple[str, dict[str, Any]]) -> RunsWatch:
    runs = RunsWatch(["orders"])
    for event, fields in events:
        runs.of("orders").log("info", event, task="orders", **fields)
    return runs


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "starting"),
        ([("provider.ready", {"role": "output"})], "starting"),
        ([("run.started", {})], ""),
        ([("run.started", {}), ("run.draining", {})], ""),
        ([("run.started", {}), ("run.restarting", FAILURE)], "restarting after provider.silent: silent for 60 s"),
        ([("run.started", {}), ("run.restarting", FAILURE), ("run.restarted", {})], ""),
        ([("run.started", {}), ("run.failed", FAILURE)], "failed with provider.silent: silent for 60 s"),
        ([("run.started", {}), ("run.finished", {})], "finished"),
    ],
)
def test_a_task_is_ready_until_its_next_failure_or_end(events: list[tuple[str, dict[str, Any]]], reason: str) -> None:
    readiness = watched(*events).readiness()
    assert readiness.is_ready is (reason == "")
    assert readiness.document()["tasks"]["orders"] == {"ready": reason == "", "reason": reason}


def test_a_run_is_ready_once_every_task_is() -> None:
    runs = RunsWatch(["a", "b"])
    runs.of("a").log("info", "run.started")
    assert dict(runs.readiness().reasons) == {"b": "starting"}
    runs.of("b").log("info", "run.started")
    assert runs.readiness().document() == {
        "schema_version": 1,
        "ready": True,
        "tasks": {"a": {"ready": True, "reason": ""}, "b": {"ready": True, "reason": ""}},
    }


def test_rows_relayed_never_decrease_after_a_restart() -> None:
    watch = RunsWatch(["orders"]).of("orders")
    watch.progress(Progress(rows_relayed=100, rows_settled=60))
    watch.progress(Progress(rows_relayed=70, rows_settled=60))
    assert (watch.most_rows_relayed, watch.progress_now.rows_relayed) == (100, 70)
