"""The real engine runs the program of mode `entities` against an in-memory cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from dstream_stacks.entities_program import entities_program
from dstream_stacks.resource_ids import OWN_QUEUE
from dstream_stacks.spec import AuthorizationRule, Queue, Rule, ServiceBusSpec, Subscription, Topic

from dstream.infra import UnrecordedResources
from tests.integration.engine import Stack
from tests.integration.stacks.cloud import Cloud

SPEC = ServiceBusSpec(
    mode="entities",
    queues=(Queue(name="team/orders", lock_duration_s=30, forward_to="all"), Queue(name="all")),
    topics=(Topic(name="events", subscriptions=(Subscription(name="audit", rules=(Rule(name="eu", sql="x=1"),)),)),),
)
IDS = [
    "topic/events",
    "topic/events/subscription/audit",
    "topic/events/subscription/audit/rule/eu",
    "topic/events/subscription/audit/rule/$Default",
]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture
def engine(cloud: Cloud, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", {"dstream": cloud.port})


def nothing_exists(resource_type: str, resource_id: str) -> bool:
    return False


def test_a_spec_is_applied_and_entities_are_replaced_with_their_topic(engine: Stack, cloud: Cloud) -> None:
    unrecorded = UnrecordedResources()
    unrecorded.begin([], [])
    program = entities_program(SPEC, exists=lambda _, resource_id: resource_id == "queue/all", unrecorded=unrecorded)
    assert engine.apply(program) == {"create": 7}
    assert [name for name in ("all", "team/orders", "events") if (OWN_QUEUE, name) in unrecorded] == ["all"]
    assert cloud.resources.keys() == {"queue/team/orders", "queue/all", *IDS}
    assert cloud.resources["queue/team/orders"] == {
        "queueName": "team/orders",
        "lockDuration": "PT30S",
        "forwardTo": "all",
    }
    assert cloud.resources[IDS[3]]["sqlFilter"] == {"sqlExpression": "1=0"}
    assert engine.apply(entities_program(SPEC, exists=nothing_exists)) == {"same": 7}

    cloud.calls.clear()
    replaced = msgspec.structs.replace(SPEC, topics=(msgspec.structs.replace(SPEC.topics[0], partitioning=True),))
    program = entities_program(replaced, exists=nothing_exists)
    planned = engine.running(program).preview().change_summary
    assert {str(op): count for op, count in planned.items()} == engine.apply(program) == {"replace": 4, "same": 3}
    # The rules go with their subscription, and `$Default` is narrowed last.
    assert cloud.calls == [*(("delete", each) for each in reversed(IDS[:2])), *(("create", each) for each in IDS)]


def test_existing_entities_are_imported(engine: Stack, cloud: Cloud) -> None:
    cloud.resources["queue/all"] = {"queueName": "all"}
    wanted = msgspec.structs.replace(SPEC, topics=(), import_existing=True)
    asked: list[str] = []

    def exists(resource_type: str, resource_id: str) -> bool:
        asked.append(resource_id)
        return resource_id in cloud.resources

    assert engine.apply(entities_program(wanted, exists=exists)) == {"create": 2, "import": 1}
    assert set(asked) == {"queue/all", "queue/team/orders"}
    assert cloud.calls == [("create", "queue/team/orders")]


def test_settings_that_need_azure_resource_manager_are_refused() -> None:
    spec = msgspec.structs.replace(SPEC, authorization_rules=(AuthorizationRule(name="a", rights=("Send",)),))

    with pytest.raises(ValueError, match="mode arm"):
        entities_program(spec, exists=nothing_exists)
