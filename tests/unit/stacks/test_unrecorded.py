"""Resources that a plan would create although they exist are found with few lookups."""

from __future__ import annotations

from collections.abc import Collection

from dstream_stacks.resource_ids import OWN_QUEUE, OWN_RULE, OWN_SUBSCRIPTION, OWN_TOPIC
from dstream_stacks.unrecorded import Lookups

from dstream.infra import UnrecordedResources

DECLARED = [
    (OWN_TOPIC, "events", "topic/events"),
    (OWN_SUBSCRIPTION, "events/audit", "topic/events/subscription/audit"),
    (OWN_RULE, "events/audit/$Default", "topic/events/subscription/audit/rule/$Default"),
    (OWN_RULE, "events/audit/eu", "topic/events/subscription/audit/rule/eu"),
    (OWN_TOPIC, "new", "topic/new"),
    (OWN_SUBSCRIPTION, "new/audit", "topic/new/subscription/audit"),
    (OWN_RULE, "new/audit/eu", "topic/new/subscription/audit/rule/eu"),
    (OWN_QUEUE, "team", "queue/team"),
    (OWN_QUEUE, "team/orders", "queue/team/orders"),
]
ACTUAL = {"topic/events", "topic/events/subscription/audit", "queue/team/orders"}


def run(unrecorded: UnrecordedResources) -> list[str]:
    """Run a program that declares the resources; return the ids that it looked up."""
    asked: list[str] = []

    def exists(resource_type: str, resource_id: str) -> bool:
        asked.append(resource_id)
        return resource_id in ACTUAL

    lookups = Lookups(unrecorded, exists)
    for resource_type, name, resource_id in DECLARED:
        if lookups.wants(resource_type, name):
            lookups.look(resource_type, name, resource_id)
    return asked


def found(unrecorded: UnrecordedResources) -> Collection[str]:
    return [name for resource_type, name, _ in DECLARED if (resource_type, name) in unrecorded]


def test_nothing_below_an_absent_resource_is_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    assert run(unrecorded) == [
        "topic/events",
        "topic/events/subscription/audit",
        "topic/events/subscription/audit/rule/eu",
        "topic/new",
        "queue/team",
        "queue/team/orders",
    ]
    assert found(unrecorded) == ["events", "events/audit", "team/orders"]


def test_nothing_inside_an_absent_namespace_is_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    asked: list[str] = []
    lookups = Lookups(unrecorded, lambda _, resource_id: bool(asked.append(resource_id)))
    namespace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/ns"
    for resource_id in (namespace, f"{namespace}/queues/orders", f"{namespace}/AuthorizationRules/reader"):
        lookups.look("type", "name", resource_id)
    assert asked == [namespace]


def test_recorded_and_untargeted_resources_are_not_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([(OWN_TOPIC, "events")], ["events", "events/audit"])
    assert run(unrecorded) == ["topic/events/subscription/audit"]
    assert found(unrecorded) == ["events/audit"]


def test_only_a_plan_looks_for_resources() -> None:
    assert run(UnrecordedResources()) == []
