"""Ready when both providers of every task are, with the reason for each task that is not."""

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
def test_a_task_is_ready_from_both_providers_ready_to_the_next_failure_or_end(
    events: list[tuple[str, dict[str, Any]]], reason: str
) -> None:
    readiness = watched(*events).readiness()
    assert readiness.is_ready is (reason == "")
    assert readiness.document()["tasks"]["orders"] == {"ready": reason == "", "reason": reason}


def test_all_are_ready_only_when_each_one_is() -> None:
    runs = RunsWatch(["a", "b"])
    runs.of("a").log("info", "run.started")
    assert dict(runs.readiness().reasons) == {"b": "starting"}
    runs.of("b").log("info", "run.started")
    assert runs.readiness().document() == {
        "schema_version": 1,
        "ready": True,
        "tasks": {"a": {"ready": True, "reason": ""}, "b": {"ready": True, "reason": ""}},
    }


def test_rows_relayed_never_go_back_when_a_new_pair_begins_where_settled_rows_end() -> None:
    watch = RunsWatch(["orders"]).of("orders")
    watch.progress(Progress(rows_relayed=100, rows_settled=60))
    watch.progress(Progress(rows_relayed=70, rows_settled=60))
    assert (watch.most_rows_relayed, watch.progress_now.rows_relayed) == (100, 70)
