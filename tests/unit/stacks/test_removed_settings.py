"""Removing a setting sends Azure's default instead of omitting the property."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_stacks.inputs import queue_inputs, subscription_inputs, topic_inputs
from dstream_stacks.properties import FOREVER, PROPERTIES, Tier
from dstream_stacks.removed_settings import with_defaults_of_removed
from dstream_stacks.spec import Namespace, Queue, ServiceBusSpec, Subscription, Topic

QUEUE, TOPIC, SUBSCRIPTION = (f"azure-native:servicebus:{kind}" for kind in ("Queue", "Topic", "Subscription"))


def spec(*queues: Queue, tier: Tier | None = "Standard", topics: tuple[Topic, ...] = ()) -> ServiceBusSpec:
    return ServiceBusSpec(namespace=Namespace(name="sb", tier=tier), queues=queues, topics=topics)


def queue_after(recorded: dict[str, Any], tier: Tier | None = "Standard", **settings: Any) -> dict[str, Any]:
    wanted = spec(Queue(name="orders", **settings), tier=tier)
    return queue_inputs(with_defaults_of_removed(wanted, [(QUEUE, "orders", recorded)]).queues[0])


def test_a_removed_setting_gets_its_default_and_keeps_it() -> None:
    recorded = {"queueName": "orders", "lockDuration": "PT30S", "maxDeliveryCount": 5}
    assert queue_after(recorded, max_delivery_count=7) == {"lockDuration": "PT1M", "maxDeliveryCount": 7}
    assert queue_after({"lockDuration": "PT1M"}) == {"lockDuration": "PT1M"}
    assert queue_after({}) == {}


@pytest.mark.parametrize("recorded", [{"forwardTo": "a", "userMetadata": "b"}, {"requiresSession": True}])
def test_a_text_is_omitted_and_a_fixed_setting_replaces_the_entity(recorded: dict[str, Any]) -> None:
    assert queue_after(recorded) == {}


def test_an_ignored_setting_stays_as_it_is() -> None:
    assert queue_after({"lockDuration": "PT30S"}, ignore_changes=("lockDuration",)) == {}


@pytest.mark.parametrize(
    ("tier", "default"), [("Basic", "P14D"), ("Standard", FOREVER), ("Premium", FOREVER), (None, None)]
)
def test_the_default_of_the_time_to_live_depends_on_the_tier(tier: Tier | None, default: str | None) -> None:
    assert queue_after({"defaultMessageTimeToLive": "P1D"}, tier).get("defaultMessageTimeToLive") == default


def test_topics_and_subscriptions_are_reset_as_well() -> None:
    wanted = spec(topics=(Topic(name="events", subscriptions=(Subscription(name="audit"), Subscription(name="new"))),))
    recorded = [
        (
            TOPIC,
            "events",
            {"maxSizeInMegabytes": 2048, "supportOrdering": False},
        ),  # its default depends on partitioning
        (SUBSCRIPTION, "events/audit", {"deadLetteringOnFilterEvaluationExceptions": False}),
    ]
    (topic,) = with_defaults_of_removed(wanted, recorded).topics
    assert topic_inputs(topic) == {"maxSizeInMegabytes": 1024}
    audit, new = topic.subscriptions
    assert subscription_inputs(audit) == {"deadLetteringOnFilterEvaluationExceptions": True}
    assert subscription_inputs(new) == {}


def test_every_default_that_is_sent_has_the_form_of_its_setting() -> None:
    types = {"flag": bool, "count": int, "duration": str, "megabytes": int, "kilobytes": int}
    sent = {each.name: each.default_in("Premium") for each in PROPERTIES if each.form != "text"}
    assert [name for name, value in sent.items() if value is None] == ["support_ordering"]
    for each in PROPERTIES:
        if sent.get(each.name) is not None:
            assert type(sent[each.name]) is types[each.form], each.name
