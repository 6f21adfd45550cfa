"""Finds the data that a replacement or deletion would lose."""

from __future__ import annotations

from typing import Any

import pytest

from dstream.errors import RefusedError
from dstream.infra import Content, Contents, Definition, Step
from dstream.infra.plan.losses import losses, refuse, refuse_unconfirmed

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
    (single,) = losses([step("delete", {"count": 1})], DEFINITION).values()
    assert single.note("messages") == "holds 1 message that would be lost"
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


CONTAINERS = Definition(
    program=lambda: None,
    spec={},
    holds=lambda step: int(step.outputs.get("count", 0)),
    held="messages",
    confirmed_by_name=["cloud:index:Space"],
)


def removed(kind: str, name: str, count: int = 0) -> Step:
    urn = f"urn:pulumi:dev::t::cloud:index:{kind}::{name}"
    return Step(urn, "delete", id=f"/Space/{name}", outputs={"count": count})


def test_a_container_loses_what_it_contains_except_empty_resources_of_the_plan() -> None:
    space, queue = removed("Space", "s"), removed("Queue", "own")
    inside = Contents(
        [
            Content("/space/OWN", "queue", "own", 0),
            Content("/space/other", "queue", "other", 0),
            Content("/space/full", "queue", "full", 1200),
            Content("/space/file", "file", "f", None),
        ]
    )
    found = losses([space, queue], CONTAINERS, {space.urn: inside})

    assert list(found) == [space.urn]
    assert found[space.urn].note("messages") == (
        "contains queue full (1,200 messages), file f (number of messages unknown) and queue other"
        " that would be deleted too"
    )
    assert found[space.urn].holds == 1200


def test_a_container_whose_contents_are_unknown_may_lose_anything() -> None:
    space = removed("Space", "s")
    found = losses([space], CONTAINERS, {space.urn: Contents(unknown="403 Forbidden")})
    with pytest.raises(RefusedError, match=r"cannot list them: 403 Forbidden"):
        refuse(found, CONTAINERS)


def test_only_a_typed_name_confirms_a_container_and_an_empty_one_needs_none() -> None:
    space, queue = removed("Space", "s"), removed("Queue", "q", 7)
    inside = {space.urn: Contents([Content("/space/q", "queue", "q", 7)])}
    found = losses([space, queue], CONTAINERS, inside)

    with pytest.raises(RefusedError, match="queue q") as caught:
        refuse_unconfirmed(found, CONTAINERS, ["q"])
    assert (caught.value.code, caught.value.hint[-12:]) == ("plan.not_confirmed", "--confirm s.")
    refuse_unconfirmed(found, CONTAINERS, ["s"])
    refuse_unconfirmed(losses([space], CONTAINERS, {space.urn: Contents()}), CONTAINERS, [])
