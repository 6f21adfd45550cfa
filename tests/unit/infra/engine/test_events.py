"""Turns engine events into steps. The events were recorded from Pulumi 3.259.0 with the integration tests' cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from dstream.infra.engine.events import EngineEvents
from dstream.infra.plan.step import Step

RECORDED = Path(__file__).parent / "recorded"


def replayed(name: str, ignored: dict[str, list[str]] | None = None) -> tuple[EngineEvents, list[tuple[str, str, str]]]:
    reported: list[tuple[str, str, str]] = []

    def on_step(step: Step, phase: str, why: str) -> None:
        reported.append((step.name, phase, why))

    events = EngineEvents(on_step, ignored)
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        events.take(EngineEvent.from_json(json.loads(line)))
    return events, reported


def steps(found: list[Step]) -> dict[str, Step]:
    return {each.name: each for each in found}


def test_a_creation_shows_each_property_and_no_secret() -> None:
    events, reported = replayed("create")
    made = steps(events.steps)
    assert {name: each.op for name, each in made.items()} == {"q1": "create", "q2": "create"}
    assert [tuple(each) for each in made["q1"].diff] == [
        ("list", None, ["x", "y"]),
        ("name", None, "q1"),
        ("size", None, 1),
        ("tags.team", None, "a"),
    ]
    assert [tuple(each) for each in made["q2"].diff if each.path == "secret"] == [("secret", None, "***")]
    assert (made["q1"].id, made["q1"].type) == ("/queues/q1", "cloud:index:Queue")
    assert made["q2"].outputs["secret"] == "***"
    assert events.outputs == {"names": ["q1", "q2"], "s": "***"}
    assert sorted(reported) == sorted((name, phase, "") for name in ("q1", "q2") for phase in ("started", "done"))


def test_a_refresh_shows_recorded_and_actual_values() -> None:
    events, _ = replayed("drift")
    assert events.steps == []
    found = steps(events.verdicts)
    assert {name: each.op for name, each in found.items()} == {"q1": "update", "q2": "delete"}
    assert [tuple(each) for each in found["q1"].diff] == [
        ("size", 1, 9),
        ("tags.team", "a", "b"),
        ("tags.y", None, "1"),
    ]
    assert found["q1"].outputs["messages"] == 12
    assert found["q2"].outputs == {}


def test_ignored_changes_are_no_drift() -> None:
    urn = next(each.urn for each in replayed("drift")[0].verdicts if each.name == "q1")
    some = steps(replayed("drift", {urn: ["size", "tags.team"]})[0].verdicts)["q1"]
    assert (some.op, [each.path for each in some.diff]) == ("update", ["tags.y"])
    none = steps(replayed("drift", {urn: ["size", "tags"]})[0].verdicts)["q1"]
    assert (none.op, none.diff) == ("same", ())
    assert replayed("drift", {urn: ["size", "tags"]})[0].is_record_outdated  # an update must start from what is real


def test_a_plan_goes_from_actual_to_desired_values() -> None:
    events, _ = replayed("preview-after-drift")
    planned = steps(events.steps)
    assert {name: each.op for name, each in planned.items()} == {"q1": "update", "q2": "create"}
    assert [tuple(each) for each in planned["q1"].diff] == [
        ("size", 9, 1),
        ("tags.team", "b", "a"),
        ("tags.y", "1", None),
    ]
    assert planned["q1"].outputs["messages"] == 12, "from the refresh"
    assert {each.name: each.op for each in events.verdicts} == {"q1": "update", "q2": "delete"}


def test_an_actual_value_that_matches_the_program_is_only_recorded() -> None:
    events = EngineEvents()
    for line in (RECORDED / "preview-after-drift.jsonl").read_text().splitlines():
        event = json.loads(line)
        for each in event.values():
            metadata = each.get("metadata", {}) if isinstance(each, dict) else {}
            if metadata.get("op") == "update":  # what the engine sends if the program was changed as well
                metadata.update(op="same", detailedDiff=None)
        events.take(EngineEvent.from_json(event))

    q1 = steps(events.steps)["q1"]
    assert q1.op == "refresh"
    assert tuple(q1.diff[0]) == ("size", 1, 9)


def test_a_replacement_is_one_step_and_a_failure_has_the_providers_message() -> None:
    events, reported = replayed("replace-and-fail")
    done = steps(events.steps)
    assert {name: each.op for name, each in done.items()} == {"q1": "replace", "q2": "update", "q3": "create"}
    assert [tuple(each) for each in done["q1"].diff] == [
        ("list[1]", "y", "z"),
        ("list[2]", None, "w"),
        ("sessions", None, True),
    ]
    assert [tuple(each) for each in done["q2"].diff] == [("secret", "***", "***")]
    assert ("q3", "failed", "no more\nqueues") in reported
    for name in ("q1", "q2"):
        phases = [phase for each, phase, _ in reported if each == name]
        assert phases[:1] == ["started"]
        assert phases.count("done") + [each.name for each in events.unfinished].count(name) == 1


def test_a_destroy_lists_deleted_resources_with_their_actual_state() -> None:
    events, _ = replayed("preview-destroy")
    assert [(each.name, each.op, each.diff) for each in events.steps] == [("q1", "delete", ()), ("q2", "delete", ())]
    assert steps(events.steps)["q1"].inputs["name"] == "q1"


def event(kind: str, op: str, urn: str = "urn:pulumi:dev::t::cloud:index:Queue::q1", **metadata: object) -> EngineEvent:
    state = {
        "type": "cloud:index:Queue",
        "urn": urn,
        "id": "x",
        "parent": "",
        "provider": "",
        "inputs": {},
        "outputs": {},
    }
    return EngineEvent.from_json(
        {
            "sequence": 1,
            "timestamp": 1,
            kind: {
                "metadata": {"op": op, "urn": urn, "type": "", "provider": "", "old": state, "new": state, **metadata}
            },
        }
    )


@pytest.mark.parametrize(
    "halves",
    [
        ["delete-replaced", "replace", "create-replacement"],
        ["create-replacement", "replace", "delete-replaced"],
    ],
    ids=["deleted first", "created first"],
)
def test_a_replacement_starts_with_its_first_half_and_ends_with_its_last(halves: list[str]) -> None:
    reported: list[str] = []
    events = EngineEvents(lambda step, phase, _: reported.append(f"{step.op} {phase}"))
    for op in halves:
        assert "replace done" not in reported
        events.take(event("resourcePreEvent", op))
        events.take(event("resOutputsEvent", op))
    assert reported == ["replace started", "replace done"]
    assert events.unfinished == []


def test_a_started_step_without_an_end_is_unfinished() -> None:
    events = EngineEvents()
    events.take(event("resourcePreEvent", "update"))
    assert [each.name for each in events.unfinished] == ["q1"]
    events.finish()
    assert events.unfinished == []


def test_debug_and_ephemeral_diagnostics_are_ignored() -> None:
    events = EngineEvents()
    for severity, ephemeral in (("debug", False), ("info", True), ("info#err", False), ("warning", False)):
        body = {"message": f"{severity}\n", "color": "", "severity": severity, "ephemeral": ephemeral}
        events.take(EngineEvent.from_json({"sequence": 1, "timestamp": 1, "diagnosticEvent": body}))
    assert [(each.severity, each.message) for each in events.problems] == [
        ("info", "info#err"),
        ("warning", "warning"),
    ]


def pre_event(op: str, old: dict[str, Any], new: dict[str, Any], detailed: dict[str, Any]) -> EngineEvent:
    urn = "urn:pulumi:dev::t::cloud:index:Queue::q1"
    state = {"urn": urn, "type": "cloud:index:Queue", "custom": True, "id": "1", "parent": "", "provider": "p"}
    metadata = {
        "op": op,
        "urn": urn,
        "type": "cloud:index:Queue",
        "old": {**state, "inputs": {"name": "q1"}, "outputs": {"name": "q1"}, **old},
        "new": {**state, "inputs": {"name": "q1"}, "outputs": {}, **new},
        "detailedDiff": detailed,
        "logical": True,
        "provider": "p",
    }
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": metadata}})


def test_the_old_value_of_an_unset_property_comes_from_the_service() -> None:
    events = EngineEvents()
    had = {"outputs": {"name": "q1", "sessions": False}}
    wanted = {"inputs": {"name": "q1", "sessions": True}}
    events.take(pre_event("update", had, wanted, {"sessions": {"diffKind": "add", "inputDiff": True}}))
    assert [tuple(each) for each in events.steps[0].diff] == [("sessions", False, True)]


def test_a_change_of_protection_alone_is_an_update() -> None:
    events = EngineEvents()
    events.take(pre_event("same", {"retainOnDelete": True}, {"protect": True}, {}))
    assert events.steps[0].op == "update"
    assert [tuple(each) for each in events.steps[0].diff] == [("protect", False, True), ("retainOnDelete", True, False)]
