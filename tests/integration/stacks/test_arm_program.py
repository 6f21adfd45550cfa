"""The real engine runs the real azure-native classes against an in-memory cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from dstream_stacks import resource_ids as ids
from dstream_stacks.arm_program import arm_program
from dstream_stacks.spec import (
    AuthorizationRule,
    CorrelationFilter,
    Namespace,
    Queue,
    ResourceGroup,
    Rule,
    ServiceBusSpec,
    Subscription,
    Topic,
)
from pulumi.automation.errors import CommandError, InlineSourceRuntimeError

from dstream.infra import Definition
from dstream.infra.hook import ProgramHook
from tests.integration.engine import Stack
from tests.integration.stacks.cloud import SUBSCRIPTION, Cloud

NAMESPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/sb-orders"
SENDER = AuthorizationRule(name="sender", rights=("Send",))
SPEC = ServiceBusSpec(
    resource_group=ResourceGroup(name="rg", create=True, location="westeurope"),
    namespace=Namespace(name="sb-orders", create=True, location="westeurope", minimum_tls_version="1.2"),
    queues=(
        Queue(name="orders", duplicate_detection=True, duplicate_detection_window_s=600, forward_to="all"),
        Queue(name="all", max_delivery_count=5),
    ),
    topics=(
        Topic(
            name="events",
            subscriptions=(
                Subscription(
                    name="audit",
                    rules=(
                        Rule(name="eu", sql="region = 'eu'", action="SET seen = 1"),
                        Rule(name="cars", correlation=CorrelationFilter(subject="cars", properties={"k": "v"})),
                    ),
                ),
            ),
        ),
    ),
    authorization_rules=(
        SENDER,
        AuthorizationRule(name="reader", rights=("Listen",), queue="orders"),
        AuthorizationRule(name="reader", rights=("Listen",), topic="events"),
    ),
    publisher=SENDER,
    tags={"team": "sales"},
)
EXISTING = ServiceBusSpec(
    resource_group=ResourceGroup(name="rg"), namespace=Namespace(name="sb-orders"), queues=(Queue(name="orders"),)
)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture
def engine(cloud: Cloud, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", {"azure-native": cloud.port})


def test_a_spec_is_applied_as_written_and_then_unchanged(engine: Stack, cloud: Cloud) -> None:
    made = engine.apply(arm_program(SPEC))

    assert made == {"create": 13}  # 12 resources, and the stack itself
    assert cloud.resources.keys() == {
        NAMESPACE.partition("/providers")[0],
        NAMESPACE,
        *(f"{NAMESPACE}/queues/{name}" for name in ("orders", "all", "orders/authorizationRules/reader")),
        f"{NAMESPACE}/AuthorizationRules/sender",
        f"{NAMESPACE}/topics/events",
        f"{NAMESPACE}/topics/events/authorizationRules/reader",
        f"{NAMESPACE}/topics/events/subscriptions/audit",
        *(f"{NAMESPACE}/topics/events/subscriptions/audit/rules/{name}" for name in ("$Default", "eu", "cars")),
    }
    queue = cloud.resources[f"{NAMESPACE}/queues/orders"]
    assert queue.items() >= {"requiresDuplicateDetection": True, "duplicateDetectionHistoryTimeWindow": "PT10M"}.items()
    assert queue["forwardTo"] == "all"
    assert cloud.resources[NAMESPACE].items() >= {"sku": {"name": "Standard", "tier": "Standard"}}.items()
    assert cloud.resources[NAMESPACE]["tags"] == {"team": "sales"}
    rule = cloud.resources[f"{NAMESPACE}/topics/events/subscriptions/audit/rules/cars"]
    assert rule["filterType"] == "CorrelationFilter"
    assert rule["correlationFilter"].items() >= {"label": "cars", "properties": {"k": "v"}}.items()

    outputs = engine.stack.workspace.stack_outputs("dev")
    assert {name: output.value for name, output in outputs.items() if not output.secret} == {
        "namespace": "sb-orders",
        "queues": ["orders", "all"],
        "topics": ["events"],
        "endpoint": "https://ns/",
    }
    assert outputs["connection_string"].value == "Endpoint=sb://sb-orders/;SharedAccessKeyName=sender"
    cloud.calls.clear()
    engine.running(arm_program(SPEC)).preview()
    assert cloud.calls == [], "a preview lists no keys"
    assert engine.apply(arm_program(SPEC)) == {"same": 13}
    assert cloud.calls == [("listKeys", "sender")]

    # Replacing a topic replaces everything below it, and nothing else.
    cloud.calls.clear()
    partitioned = msgspec.structs.replace(SPEC, topics=(msgspec.structs.replace(SPEC.topics[0], partitioning=True),))
    planned = engine.running(arm_program(partitioned)).preview().change_summary
    done = engine.apply(arm_program(partitioned))
    assert {str(op): count for op, count in planned.items()} == done == {"replace": 6, "same": 7}
    changes = [each for each in cloud.calls if each[0] != "listKeys"]
    assert all("/topics/events" in resource_id for _, resource_id in changes)
    # The rules go with their subscription.
    assert [op for op, _ in changes] == ["delete"] * 3 + ["create"] * 6


def test_existing_resources_are_used_but_not_recorded_or_destroyed(engine: Stack, cloud: Cloud) -> None:
    guarded = msgspec.structs.replace(EXISTING, queues=(Queue(name="orders", protect=True),))
    stack = engine.running(arm_program(guarded))
    stack.up()

    assert list(cloud.resources) == [f"{NAMESPACE}/queues/orders"]
    assert {each["type"] for each in engine.deployment["resources"]} == {
        "pulumi:pulumi:Stack",
        "pulumi:providers:azure-native",
        ids.QUEUE,
    }
    assert "connection_string" not in engine.outputs
    assert [op for op, _ in cloud.calls] == ["create"], "no keys are listed unless the spec names a publisher"

    # Protected resources cannot be destroyed; retained ones remain.
    with pytest.raises(CommandError, match="protected"):
        stack.destroy()
    retained = msgspec.structs.replace(EXISTING, queues=(Queue(name="orders", retain_on_delete=True),))
    engine.apply(arm_program(retained))
    stack.destroy()
    assert list(cloud.resources) == [f"{NAMESPACE}/queues/orders"]


def test_existing_resources_are_imported_and_then_updated(engine: Stack, cloud: Cloud) -> None:
    cloud.resources[f"{NAMESPACE}/queues/orders"] = {
        "resourceGroupName": "rg",
        "namespaceName": "sb-orders",
        "queueName": "orders",
        "maxDeliveryCount": 3,
    }
    wanted = msgspec.structs.replace(
        EXISTING,
        queues=(Queue(name="orders", max_delivery_count=7, import_=True), Queue(name="new", import_=True)),
    )

    assert engine.apply(arm_program(wanted)) == {"create": 2, "import": 1, "update": 1}
    assert sorted(cloud.calls) == [("create", f"{NAMESPACE}/queues/new"), ("update", f"{NAMESPACE}/queues/orders")]
    assert cloud.resources[f"{NAMESPACE}/queues/orders"]["maxDeliveryCount"] == 7
    assert engine.apply(arm_program(wanted)) == {"same": 3}


def test_a_denied_lookup_is_not_mistaken_for_a_missing_resource(engine: Stack, cloud: Cloud) -> None:
    cloud.refuse_lookups = 'Status=403 Code="AuthorizationFailed" Message="no right to read"'
    wanted = msgspec.structs.replace(EXISTING, import_existing=True, subscription_id=SUBSCRIPTION)

    with pytest.raises((InlineSourceRuntimeError, CommandError), match="AuthorizationFailed"):
        engine.apply(arm_program(wanted))
    assert cloud.resources == {}


def test_what_the_tier_of_an_existing_namespace_lacks_is_named_with_the_setting(engine: Stack, cloud: Cloud) -> None:
    cloud.tier = "Basic"
    wanted = msgspec.structs.replace(EXISTING, queues=(Queue(name="orders", duplicate_detection=True, sessions=True),))

    with pytest.raises(
        (InlineSourceRuntimeError, CommandError),
        match=r'duplicate_detection \(orders\), sessions \(orders\): set sku = "Basic"',
    ):
        engine.running(arm_program(wanted)).preview()


def test_a_spec_of_the_other_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="resource group"):
        arm_program(ServiceBusSpec(mode="entities", queues=(Queue(name="q"),)))


def test_a_program_hook_changes_and_extends_the_declared_resources(engine: Stack, cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "infra.py"
    file.write_text(
        "import pulumi\n"
        "from pulumi_azure_native import servicebus\n"
        "def transform(resource):\n"
        "    if resource.type.endswith(':Queue'):\n"
        "        resource.inputs['max_delivery_count'] = 3\n"
        "        resource.options.ignore_changes = ['status']\n"
        "def resources(declared):\n"
        "    (queue,) = [each.resource for each in declared]\n"
        "    place = {'resource_group_name': 'rg', 'namespace_name': 'sb-orders'}\n"
        "    servicebus.QueueAuthorizationRule('orders/hook', authorization_rule_name='hook', queue_name=queue.name,\n"
        "        rights=['Listen'], **place)\n"
    )
    hooked = ProgramHook(file).applied_to(Definition(program=arm_program(EXISTING), spec={}))

    assert engine.apply(hooked.program) == {"create": 3}
    assert cloud.resources[f"{NAMESPACE}/queues/orders"]["maxDeliveryCount"] == 3
    assert f"{NAMESPACE}/queues/orders/authorizationRules/hook" in cloud.resources
    assert engine.recorded("orders")["ignoreChanges"] == ["status"]
