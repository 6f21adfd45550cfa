"""Checks the actual changes against a saved plan: what it allows and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from dstream.errors import ConfigError, RefusedError
from dstream.infra.plan.document import check, plan_document, read_document
from dstream.infra.plan.step import PropertyChange, Step
from dstream.infra.plan.values import UNKNOWN

SPEC = {"queues": {"q1": {"size": 2}}}


def step(name: str, op: Any, *diff: PropertyChange) -> Step:
    return Step(f"urn:pulumi:dev::t::cloud:index:Queue::{name}", op, diff)


SHOWN = [
    step("q1", "update", PropertyChange("size", 1, 2), PropertyChange("tags.team", "a", "b")),
    step("q2", "create", PropertyChange("name", None, "q2"), PropertyChange("uri", None, UNKNOWN)),
    step("q3", "same"),
]


def checked(
    steps: Sequence[Step],
    *,
    exact: bool = False,
    spec: dict[str, Any] = SPEC,
    state: str = "s1",
    engine: str = "3.259.0",
    destroy: bool = False,
    looked_up: Collection[str] = (),
) -> None:
    built = plan_document(SHOWN, spec=SPEC, state="s1", engine="3.259.0", destroy=False)
    document = read_document(json.loads(json.dumps(built)))  # as read from a file
    check(document, steps, spec=spec, state=state, engine=engine, destroy=destroy, exact=exact, looked_up=looked_up)


def test_planned_changes_or_fewer_are_allowed() -> None:
    checked(SHOWN)
    checked(SHOWN, exact=True, engine="3.259.4", spec={"queues": {"q1": {"size": 2}}})
    checked([step("q1", "update", PropertyChange("size", 1.0, 2)), step("q2", "same")])
    checked([step("q2", "create", PropertyChange("name", None, "q2"), PropertyChange("uri", None, "known now"))])


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ([step("q4", "create")], "q4: create was not planned"),
        ([step("q3", "update", PropertyChange("size", 5, 2))], "q3: update (size) was not planned"),
        ([step("q1", "replace", PropertyChange("size", 1, 2))], "q1: planned update, now replace"),
        ([step("q1", "update", PropertyChange("size", 7, 2))], "q1 size: planned 1 → 2, now 7 → 2"),
        ([step("q1", "update", PropertyChange("lock", "PT1M", "PT2M"))], 'q1 lock: "PT1M" → "PT2M" was not planned'),
    ],
)
def test_unplanned_changes_are_refused_by_name(now: list[Step], message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        checked(now)
    assert caught.value.code == "plan.stale"
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spec": {"queues": {}}}, "the configuration has changed"),
        ({"state": "s2"}, "another init or destroy has changed the record"),
        ({"engine": "3.260.0"}, "the engine was 3.259.0, now it is 3.260.0"),
    ],
)
def test_a_plan_file_is_refused_if_any_of_its_inputs_changed(changed: dict[str, Any], message: str) -> None:
    checked(SHOWN, **changed)
    with pytest.raises(RefusedError) as caught:
        checked(SHOWN, exact=True, **changed)
    assert message in caught.value.message


def test_a_plan_file_is_refused_if_fewer_changes_are_left() -> None:
    with pytest.raises(RefusedError) as caught:
        checked([step("q1", "update", PropertyChange("size", 1, 2))], exact=True)
    assert 'q1 tags.team: planned "a" → "b" is no longer needed' in caught.value.message
    assert "q2: planned create is no longer needed" in caught.value.message


def test_a_plan_of_init_is_refused_by_destroy() -> None:
    with pytest.raises(RefusedError, match="it is a plan for init"):
        checked([], destroy=True)


def test_an_error_names_some_changes_and_counts_the_rest() -> None:
    with pytest.raises(RefusedError, match=r"; and 3 more$"):
        checked([step(f"n{number}", "create") for number in range(8)])


def test_the_document_contains_only_changes() -> None:
    built = plan_document(SHOWN, spec=SPEC, state="", engine="3.259.0", destroy=True)
    assert [each["op"] for each in built["steps"]] == ["update", "create"]
    assert (built["destroy"], built["engine"], built["state"]) == (True, "3.259.0", "")


@pytest.mark.parametrize(
    "foreign", [{}, {"steps": []}, {"version": 2, "engine": "", "spec": "", "state": "", "steps": []}]
)
def test_a_foreign_document_is_a_config_error(foreign: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="plan"):
        read_document(foreign)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("op", ["same", "update", "import", "create"])
def test_an_interrupted_creation_can_exist_or_not(op: str, exact: bool) -> None:
    begun = step("q2", op, *(SHOWN[1].diff if op == "create" else ()))
    checked([SHOWN[0], begun], exact=exact, looked_up=[begun.urn])
    with pytest.raises(RefusedError, match="q2: planned create, now replace"):
        checked([SHOWN[0], step("q2", "replace")], exact=exact, looked_up=[begun.urn])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("op", ["same", "update", "import", "create", "replace"])
def test_any_part_of_an_interrupted_replacement_can_be_left(op: str, exact: bool) -> None:
    shown = [step("topic", "replace"), step("topic/rule", "replace")]
    built = plan_document(shown, spec=SPEC, state="s1", engine="3.259.0", destroy=False)

    def check_now(*looked_up: str) -> None:
        now = [step("topic", "create"), step("topic/rule", op)]
        check(
            read_document(built),
            now,
            spec=SPEC,
            state="s1",
            engine="3.259.0",
            destroy=False,
            exact=exact,
            looked_up=looked_up,
        )

    check_now(shown[0].urn)
    with pytest.raises(RefusedError, match="topic: planned replace, now create"):
        check_now()


@pytest.mark.parametrize("exact", [False, True])
def test_refreshes_are_not_compared(exact: bool) -> None:
    checked([*SHOWN[:2], step("q3", "refresh", PropertyChange("size", 1, 2))], exact=exact)
    built = plan_document([step("q3", "refresh")], spec=SPEC, state="s1", engine="3.259.0", destroy=False)
    check(
        read_document(built),
        [step("q3", "same")],
        spec=SPEC,
        state="s1",
        engine="3.259.0",
        destroy=False,
        exact=exact,
    )
