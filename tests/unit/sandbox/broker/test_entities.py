"""Entities: names, allowed settings and persistence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dstream_sandbox.servicebus.broker import EntityExists, EntityInvalid, EntityMissing
from dstream_sandbox.servicebus.broker.descriptions import (
    AuthorizationRule,
    CorrelationFilter,
    QueueDescription,
    RuleDescription,
    SqlAction,
    SqlFilter,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.broker.limits import Profile

from tests.unit.sandbox.broker.world import World


async def test_every_description_survives_a_restart(world: World) -> None:
    access = AuthorizationRule("app", ("Send", "Listen"), "one", "two", created_at=1.0, modified_at=2.0)
    async with world.broker() as broker:
        await broker.entities.create_queue("Target")
        queue = QueueDescription(
            lock_duration_s=13.5, requires_session=True, authorization_rules=(access,), status="SendDisabled",
            forward_dead_letters_to="Target", user_metadata="é",
        )  # fmt: skip
        topic = TopicDescription(requires_duplicate_detection=True, support_ordering=False)
        subscription = SubscriptionDescription(forward_to="Target", dead_letter_on_filter_errors=False)
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        values = {"a": 1, "b": 1.5, "c": True, "d": "x", "e": moment, "f": timedelta(seconds=5)}
        rules = [
            RuleDescription("One", SqlFilter("a = @a", {"@a": moment}), SqlAction("SET a = 1")),
            RuleDescription("Two", CorrelationFilter(label="l", properties=values)),
        ]
        await broker.entities.create_queue("Queue/Part", queue)
        await broker.entities.create_topic("Topic", topic)
        await broker.entities.create_subscription("topic", "Sub", subscription, rules[0])
        await broker.entities.create_rule("topic", "sub", rules[1])
    async with world.broker() as broker:
        assert broker.entities.queue("queue/part").description == queue
        assert broker.entities.queue("queue/part").name == "Queue/Part"
        assert broker.entities.topic("TOPIC").description == topic
        node = broker.entities.subscription("topic", "SUB")
        assert node.description == subscription
        assert node.path == "Topic/Subscriptions/Sub"
        assert node.created_at == world.now
        assert [replace(r, created_at=0.0) for r in broker.list_rules(node.path)] == rules


async def test_deleting_a_topic_deletes_its_subscriptions(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t")
        await broker.entities.create_subscription("t", "s")
        await broker.entities.delete_topic("t")
        with pytest.raises(EntityMissing):
            broker.entities.subscription("t", "s")
    async with world.broker() as broker:
        await broker.entities.create_topic("t")
        assert broker.entities.topic("t").subscriptions == {}


async def test_queues_and_topics_share_one_namespace(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("Name")
        with pytest.raises(EntityExists):
            await broker.entities.create_topic("nAME")


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a b", "a?", "a" * 261, "a/subscriptions/b", "$name", "a/$DeadLetterQueue"]
)
async def test_invalid_names_are_refused(world: World, name: str) -> None:
    async with world.broker() as broker:
        with pytest.raises(EntityInvalid):
            await broker.entities.create_queue(name)


@pytest.mark.parametrize("name", ["", "a/b", "a" * 51, "-a", "a b"])
async def test_invalid_subscription_names_are_refused(world: World, name: str) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t")
        with pytest.raises(EntityInvalid):
            await broker.entities.create_subscription("t", name)
        with pytest.raises(EntityInvalid):
            await broker.entities.create_subscription("t", "ok", rule=RuleDescription(name))


@pytest.mark.parametrize(
    ("profile", "values", "allowed"),
    [
        ("standard", {"enable_partitioning": True, "enable_express": True}, True),
        ("standard", {"max_size_mb": 5120}, True),
        ("standard", {"max_size_mb": 10240}, False),
        ("standard", {"max_message_size_kb": 256}, True),
        ("standard", {"max_message_size_kb": 1024}, False),
        ("premium", {"enable_partitioning": True}, False),
        ("premium", {"enable_express": True}, False),
        ("premium", {"max_size_mb": 81920}, True),
        ("premium", {"max_message_size_kb": 102400}, True),
        ("premium", {"max_message_size_kb": 102401}, False),
        ("standard", {"lock_duration_s": 5}, True),
        ("standard", {"lock_duration_s": 4}, False),
        ("standard", {"duplicate_window_s": 7 * 86400}, True),
        ("standard", {"duplicate_window_s": 7 * 86400 + 1}, False),
        ("standard", {"requires_session": True, "forward_to": "other"}, False),
        ("standard", {"forward_to": "q"}, False),
        ("standard", {"forward_to": "other"}, True),
        ("standard", {"status": "Creating"}, False),
    ],
)
async def test_each_tier_enforces_its_limits(
    world: World, profile: Profile, values: Mapping[str, Any], allowed: bool
) -> None:
    async with world.broker(profile) as broker:
        await broker.entities.create_queue("other")
        try:
            await broker.entities.create_queue("q", QueueDescription(**values))
        except EntityInvalid:
            assert not allowed
        else:
            assert allowed


async def test_a_premium_entity_starts_with_1_mb_messages(world: World) -> None:
    async with world.broker("premium") as broker:
        assert (await broker.entities.create_queue("q")).description.max_message_size_kb == 1024
        assert (await broker.entities.create_topic("t")).description.max_message_size_kb == 1024
