"""Checks the record against settings that have changed since."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.infrastructure.definition import definition
from dstream_servicebus.infrastructure.recorded import check_recorded, check_same_namespace
from dstream_stacks.spec import Namespace, Queue, ServiceBusSpec, Topic

from dstream.infra import Recorded
from dstream.sdk import decode_config
from dstream.sdk.errors import ConfigError

ARM = ServiceBusSpec(mode="arm", queues=(Queue(name="orders"),), topics=(Topic(name="events"),))
ENTITIES = ServiceBusSpec(mode="entities", queues=(Queue(name="orders"),))
QUEUE = Recorded("azure-native:servicebus:Queue", "orders", {})
OWN_QUEUE = Recorded("dstream:servicebus:Queue", "orders", {})


@pytest.mark.parametrize("is_destroyed", [False, True])
def test_the_mode_cannot_change_while_resources_are_recorded(is_destroyed: bool) -> None:
    check_recorded(ARM, [QUEUE], is_destroyed)
    check_recorded(ENTITIES, [OWN_QUEUE], is_destroyed)
    with pytest.raises(ConfigError, match='created in mode "arm"'):
        check_recorded(ENTITIES, [QUEUE], is_destroyed)
    with pytest.raises(ConfigError, match='created in mode "entities"'):
        check_recorded(ARM, [OWN_QUEUE], is_destroyed)


def test_entities_of_another_namespace_are_refused_if_both_names_are_known() -> None:
    recorded = [OWN_QUEUE, OWN_QUEUE._replace(outputs={"namespace": "sb-old"})]
    for connected in ("SB-Old", ""):
        check_same_namespace(recorded, lambda name=connected: name, "connection_string")  # type: ignore[misc]
    check_same_namespace([OWN_QUEUE], lambda: pytest.fail("nothing to compare"), "connection_string")
    with pytest.raises(ConfigError, match="in namespace sb-old, but connection_string connects to sb-new"):
        check_same_namespace(recorded, lambda: "sb-new", "connection_string")


def test_a_queue_that_becomes_a_topic_must_be_deleted_first() -> None:
    was_queue = Recorded("azure-native:servicebus:Queue", "events", {})
    with pytest.raises(ConfigError, match="recorded as a queue; a topic cannot have the same name") as refused:
        check_recorded(ARM, [QUEUE, was_queue], False)
    assert "destroy --target events" in (refused.value.hint or "")
    check_recorded(ARM, [QUEUE, was_queue], True)


def test_renamed_queues_and_subscriptions_do_not_conflict() -> None:
    others = [
        Recorded("azure-native:servicebus:Queue", "older", {}),
        Recorded("azure-native:servicebus:Subscription", "events/orders", {}),
    ]
    check_recorded(ARM, others, False)


PREMIUM = {"name": "Premium", "tier": "Premium"}


@pytest.mark.parametrize(
    ("recorded", "wanted", "setting"),
    [
        ({"sku": {"name": "Standard"}}, {"tier": "Premium"}, "sku"),
        ({"sku": PREMIUM}, {}, "sku"),
        ({"sku": PREMIUM}, {"tier": "Premium", "premium_messaging_partitions": 2}, "premium_messaging_partitions"),
        ({"sku": PREMIUM}, {"tier": "Premium", "zone_redundant": True}, "zone_redundant"),
        ({"sku": PREMIUM, "encryption": {"keySource": "x"}}, {"tier": "Premium"}, "customer_managed_key"),
        ({"sku": PREMIUM}, {"tier": "Standard", "ignore_changes": ("sku",)}, ""),
        ({"sku": {"name": "Basic"}}, {"tier": "Standard"}, ""),
        ({"sku": PREMIUM}, {"tier": "Premium", "premium_messaging_partitions": 1, "capacity": 4}, ""),
        ({"sku": PREMIUM, "zoneRedundant": True}, {"tier": "Premium", "zone_redundant": False}, ""),  # set by Azure
        ({"sku": PREMIUM, "location": "uksouth"}, {"tier": "Standard"}, ""),  # replaced anyway
        ({"sku": PREMIUM, "location": "West Europe"}, {"tier": "Standard"}, "sku"),
    ],
)
def test_what_an_existing_namespace_cannot_change_is_refused(
    recorded: dict[str, Any], wanted: dict[str, Any], setting: str
) -> None:
    spec = ServiceBusSpec(namespace=Namespace(name="sb-retail", create=True, location="westeurope", **wanted))
    namespace = [Recorded("azure-native:servicebus:Namespace", "sb-retail", recorded)]
    if not setting:
        check_recorded(spec, namespace, False)
        return
    with pytest.raises(ConfigError, match="cannot be changed") as refused:
        check_recorded(spec, namespace, False)
    assert (refused.value.code, refused.value.config_path) == ("servicebus.fixed", setting)
    check_recorded(spec, namespace, True)


def test_a_stack_continues_with_the_defaults_of_removed_settings() -> None:
    settings = {"resource_group": "rg", "namespace": "sb-orders", "queue": "orders"}
    made = definition(decode_config(settings, Config), import_existing=False)
    recorded = Recorded("azure-native:servicebus:Queue", "orders", {"queueName": "orders", "lockDuration": "PT30S"})
    continued = made.continued([recorded], False)
    assert continued is not None
    assert continued.spec["queues"][0]["defaults"] == {"lockDuration": "PT1M"}
    assert made.continued([recorded._replace(inputs={"queueName": "orders"})], False) is None
