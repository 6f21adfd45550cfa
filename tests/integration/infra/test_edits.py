"""Edits of records: the real engine, in this process, on records that a provider made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dstream.errors import ConfigError
from dstream.infra.engine.edits import RecordEditor
from dstream.protocol.messages import Infrastructure
from tests.integration.infra.driving import Stage


def editor(stage: Stage, task: str) -> RecordEditor:
    return RecordEditor(Infrastructure(task=task, stack="dev", work_dir=str(stage.infra / task / "dev")), os.environ)


def names(edited: RecordEditor) -> list[str]:
    return [each.name for each in edited.entries()]


def test_a_record_is_renamed_split_and_edited_without_touching_the_resources(tmp_path: Path) -> None:
    stage = Stage(tmp_path, queues={"q1": {"size": 1, "_secret": "s"}, "q2": {"size": 2, "_after": "q1"}})
    stage("init")
    calls = list(stage.world.calls)
    orders, sales, returns = (editor(stage, task) for task in ("orders", "sales", "returns"))

    # A renamed task keeps its resources, its secrets and its outputs.
    orders.rename(sales, lambda _: None)
    with pytest.raises(ConfigError, match="task orders has no recorded infrastructure"):
        orders.entries()
    assert not (stage.infra / "orders" / "dev" / "Pulumi.dev.yaml").exists()
    stage.task = "sales"
    plan = stage("plan")
    assert plan.ops == {"q1": "same", "q2": "same"}
    assert stage("init").outputs["queues"] == ["q1", "q2"]

    # A resource moves to a task of its own, and is there only once.
    with pytest.raises(ConfigError, match="records no resource named q9"):
        sales.move(["q9"], returns, lambda _: None)
    sales.move(["q1"], returns, lambda _: None)
    assert (names(sales), names(returns)) == (["q2"], ["q1"])
    with pytest.raises(ConfigError, match="task returns already has recorded infrastructure") as refused:
        sales.rename(returns, lambda _: None)
    assert refused.value.code == "infra.record_exists"
    stage.task, stage.queues = "returns", {"q1": {"size": 1, "_secret": "s"}}
    assert stage("plan").ops["q1"] == "same"
    stage.task, stage.queues = "sales", {"q2": {"size": 2}}
    assert stage("plan").ops["q2"] == "same"

    # A move that was killed after it had saved one of the two records.
    record = stage.infra / ".pulumi" / "stacks" / "sales" / "dev.json"
    saved = record.read_text()
    sales.move(["q2"], returns, lambda _: None)
    record.write_text(saved)
    sales.move(["q2"], returns, lambda _: None)
    assert names(returns) == ["q1", "q2"]
    with pytest.raises(ConfigError, match="no recorded infrastructure"):
        sales.entries()
    returns.move(["q2"], sales, lambda _: None)

    # What is removed from the record stays in place.
    sales.forget(["q2"], lambda found: None)
    with pytest.raises(ConfigError, match="no recorded infrastructure"):
        sales.entries()
    assert stage("plan").ops["q2"] == "create"
    assert stage.world.calls == calls
