"""Finds the data that a replacement or deletion would lose."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.errors import RefusedError
from dstream.infra import Definition, Step
from dstream.infra.plan.losses import losses, refuse

DEFINITION = Definition(
    program=lambda: None,
    spec={},
    holds=lambda step: int(step.outputs["count"]),
    held="messages",
    config_path_of=lambda _, name: f"queues.{name}",
)


def step(op: Any, outputs: dict[str, Any], *, retained: bool = False) -> Step:
    return Step(f"urn:pulumi:dev::t::cloud:index:Queue::{op}", op, outputs=outputs, is_retained=retained)


def test_only_removed_resources_that_hold_data_count() -> None:
    steps = [
        step("replace", {"count": 1284}),
        step("delete", {"count": 0}),
        step("update", {"count": 9}),
        step("same", {}),
    ]
    found = losses(steps, DEFINITION)
    assert [(each.step.op, each.note("messages")) for each in found.values()] == [
        ("replace", "holds 1,284 messages that would be lost")
    ]
    with pytest.raises(RefusedError, match=r"replace \(replace\) holds 1,284 messages") as caught:
        refuse(found, DEFINITION)
    assert (caught.value.code, caught.value.config_path) == ("plan.data_loss", "queues.replace")


def test_an_unknown_amount_counts_as_lost() -> None:
    found = losses([step("delete", {})], DEFINITION)
    with pytest.raises(RefusedError, match=r"may hold messages that would be lost \(number unknown\)"):
        refuse(found, DEFINITION)


def test_a_retained_resource_loses_nothing() -> None:
    found = losses([step("delete", {"count": 5}, retained=True)], DEFINITION)
    assert found == {}
    refuse(found, DEFINITION)
