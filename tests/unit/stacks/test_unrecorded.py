"""Resources that a plan would create although they exist are found with few lookups."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
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

    async def exists(resource_type: str, resource_id: str) -> bool:
        asked.append(resource_id)
        await asyncio.sleep(0)
        return resource_id in ACTUAL

    async def program() -> None:
        lookups = Lookups(unrecorded, exists)
        for resource_type, name, resource_id in DECLARED:
            if lookups.wants(resource_type, name):
                lookups.look(resource_type, name, resource_id)
        if lookups.under_way is not None:
            await lookups.under_way

    asyncio.run(program())
    return sorted(asked)


def found(unrecorded: UnrecordedResources) -> Collection[str]:
    return [name for resource_type, name, _ in DECLARED if (resource_type, name) in unrecorded]


def test_nothing_below_an_absent_resource_is_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    assert run(unrecorded) == [
        "queue/team",
        "queue/team/orders",
        "topic/events",
        "topic/events/subscription/audit",
        "topic/events/subscription/audit/rule/eu",
        "topic/new",
    ]
    assert found(unrecorded) == ["events", "events/audit", "team/orders"]


def test_nothing_inside_an_absent_namespace_is_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    asked: list[str] = []
    namespace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/ns"

    async def absent(resource_type: str, resource_id: str) -> bool:
        asked.append(resource_id)
        return False

    async def program() -> None:
        lookups = Lookups(unrecorded, absent)
        for resource_id in (namespace, f"{namespace}/queues/orders", f"{namespace}/AuthorizationRules/reader"):
            lookups.look("type", "name", resource_id)
        assert lookups.under_way is not None
        await lookups.under_way

    asyncio.run(program())
    assert asked == [namespace]


def test_lookups_run_concurrently_and_a_failure_is_raised() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    under_way = asyncio.Barrier(2)

    async def exists(resource_type: str, resource_id: str) -> bool:
        async with asyncio.timeout(60):
            await under_way.wait()
        if resource_id == "queue/b":
            raise PermissionError("Status=403")
        return True

    async def program() -> None:
        lookups = Lookups(unrecorded, exists)
        lookups.look(OWN_QUEUE, "a", "queue/a")
        lookups.look(OWN_QUEUE, "b", "queue/b")
        assert lookups.under_way is not None
        await lookups.under_way

    with pytest.raises(PermissionError, match="403"):
        asyncio.run(program())
    assert (OWN_QUEUE, "a") in unrecorded


def test_recorded_and_untargeted_resources_are_not_looked_up() -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([(OWN_TOPIC, "events")], ["events", "events/audit"])
    assert run(unrecorded) == ["topic/events/subscription/audit"]
    assert found(unrecorded) == ["events/audit"]


def test_only_a_plan_looks_for_resources() -> None:
    assert run(UnrecordedResources()) == []
