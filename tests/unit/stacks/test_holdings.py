from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from dstream_stacks.holdings import messages_below, messages_held

QUEUE = "azure-native:servicebus:Queue"
TOPIC = "azure-native:servicebus:Topic"
SUBSCRIPTION = "azure-native:servicebus:Subscription"


class Step(NamedTuple):
    type: str
    name: str
    outputs: dict[str, Any]


@pytest.mark.parametrize(
    ("kind", "outputs", "held"),
    [
        (QUEUE, {"messageCount": 1284.0}, 1284),
        (QUEUE, {"messageCount": 3, "countDetails": {"activeMessageCount": 3, "deadLetterMessageCount": 2.0}}, 5),
        (SUBSCRIPTION, {"messageCount": 7, "countDetails": {"scheduledMessageCount": 1}}, 7),
        (SUBSCRIPTION, {"countDetails": {"transferMessageCount": 4, "activeMessageCount": None}}, 4),
        ("dstream:servicebus:Queue", {"messageCount": 2}, 2),
        (TOPIC, {"countDetails": {"activeMessageCount": 9, "scheduledMessageCount": 2}}, 2),
        (QUEUE, {"messageCount": 0}, 0),
    ],
)
def test_all_messages_that_would_be_lost_count(kind: str, outputs: dict[str, Any], held: int) -> None:
    assert messages_held(kind, outputs) == held


@pytest.mark.parametrize("kind", [QUEUE, TOPIC, SUBSCRIPTION])
def test_outputs_without_counts_are_unknown_not_zero(kind: str) -> None:
    assert messages_held(kind, {"name": "orders"}) is None


def test_resources_that_cannot_hold_messages_hold_none() -> None:
    assert messages_held("azure-native:servicebus:Rule", {}) == 0
    assert messages_held("azure-native:servicebus:Namespace", {}) == 0
    assert messages_held("azure-native:storage:Queue", {}) == 0


def test_a_topic_holds_the_messages_of_its_own_subscriptions() -> None:
    steps = [
        Step(SUBSCRIPTION, "events/audit", {"messageCount": 3}),
        Step(SUBSCRIPTION, "events/all", {"messageCount": 4}),
        Step(SUBSCRIPTION, "events-2/audit", {"messageCount": 100}),
        Step(QUEUE, "events/queue", {"messageCount": 100}),
    ]

    assert messages_below("events", steps) == 7
