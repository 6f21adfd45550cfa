"""Topics: rules select and modify the messages of a subscription."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dstream_sandbox.servicebus.amqp.values import Int
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    FalseFilter,
    RuleDescription,
    SqlAction,
    SqlFilter,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, message


async def _subscribe(broker: LocalBroker, name: str, *rules: RuleDescription) -> str:
    if "t" not in broker._namespace.topics:
        await broker.entities.create_topic("t")
    await broker.entities.create_subscription("t", name, rule=rules[0] if rules else None)
    for rule in rules[1:]:
        await broker.entities.create_rule("t", name, rule)
    return f"t/Subscriptions/{name}"


async def test_each_subscription_gets_the_messages_that_match_its_rules(world: World) -> None:
    async with world.broker() as broker:
        everything = await _subscribe(broker, "all")
        nothing = await _subscribe(broker, "none", RuleDescription("f", FalseFilter()))
        red = await _subscribe(broker, "red", RuleDescription("r", SqlFilter("colour = 'red' AND size > 1")))
        blue = await _subscribe(broker, "blue", RuleDescription("b", CorrelationFilter(properties={"colour": "blue"})))
        labelled = await _subscribe(broker, "l", RuleDescription("l", CorrelationFilter(label="x", message_id="3")))
        await broker.send(
            "t",
            [
                message("1", properties={"colour": "red", "size": Int(2)}),
                message("2", properties={"colour": "blue"}),
                message("3", label="x"),
                message("4", label="x", properties={"colour": "red", "size": Int(1)}),
            ],
        )
        assert ids(await drain(broker, everything)) == ["1", "2", "3", "4"]
        assert await drain(broker, nothing) == []
        assert ids(await drain(broker, red)) == ["1"]
        assert ids(await drain(broker, blue)) == ["2"]
        assert ids(await drain(broker, labelled)) == ["3"]


async def test_rules_without_actions_share_one_copy_and_each_action_adds_one(world: World) -> None:
    async with world.broker() as broker:
        path = await _subscribe(
            broker,
            "s",
            RuleDescription("a", SqlFilter("n >= 1")),
            RuleDescription("b", SqlFilter("n >= 2")),
            RuleDescription("c", SqlFilter("n = 2"), SqlAction("SET copy = 'c'; REMOVE n; SET sys.Label = 'L' + 'c'")),
            RuleDescription("d", SqlFilter("n = 2"), SqlAction("SET copy = 'd'; SET n = n * 10; SET m = n + 1")),
        )
        await broker.send("t", [message("one", properties={"n": 1}), message("two", properties={"n": 2}, body=b"B")])
        first, plain, c, d = await drain(broker, path)
        assert ids([first, plain, c, d]) == ["one", "two", "two", "two"]
        assert plain.message.application_properties() == {"n": 2}
        assert c.message.application_properties() == {"copy": "c"}
        assert c.message.properties()["subject"] == "Lc"
        assert d.message.application_properties() == {"n": 20, "copy": "d", "m": 21}
        assert c.message.encoded.endswith(b"\xa0\x01B")


async def test_an_action_keeps_other_properties(world: World) -> None:
    async with world.broker() as broker:
        rule = RuleDescription("a", SqlFilter("1 = 1"), SqlAction("SET sys.ReplyTo = 'r'"))
        path = await _subscribe(broker, "s", rule)
        await broker.send("t", [message("one", session="sess", label="lab", properties={"n": Int(1)}, ttl_s=50)])
        (got,) = await drain(broker, path)
        assert got.message.properties() == {
            "message-id": "one", "subject": "lab", "reply-to": "r", "group-id": "sess",
        }  # fmt: skip
        assert type(got.message.application_properties()["n"]) is Int
        assert got.message.ttl_s == 50


async def test_a_message_that_fails_a_filter_is_dead_lettered_or_dropped(world: World) -> None:
    async with world.broker() as broker:
        path = await _subscribe(broker, "s", RuleDescription("bad", SqlFilter("text + 1 > 2")))
        await broker.send("t", [message("1", properties={"text": "x"}), message("2", properties={"text": 5})])
        assert ids(await drain(broker, path)) == ["2"]
        (dead,) = await drain(broker, path + "/$DeadLetterQueue")
        assert dead.set_properties["DeadLetterReason"] == "FilterEvaluationException"
        await broker.entities.update_subscription("t", "s", SubscriptionDescription(dead_letter_on_filter_errors=False))
        await broker.send("t", [message("3", properties={"text": "x"})])
        assert await drain(broker, path + "/$DeadLetterQueue") == []


async def test_rules_take_effect_immediately_and_survive_a_restart(world: World) -> None:
    async with world.broker() as broker:
        path = await _subscribe(broker, "s")
        await broker.remove_rule(path, "$default")
        await broker.send("t", [message("1")])
        await broker.add_rule(path, RuleDescription("new", SqlFilter("n = @n", {"@n": 7})))
        await broker.send("t", [message("2"), message("3", properties={"n": 7})])
        await broker.entities.update_rule("t", "s", RuleDescription("new", SqlFilter("n = 8")))
        await broker.send("t", [message("4", properties={"n": 7}), message("5", properties={"n": 8})])
        assert ids(await drain(broker, path)) == ["3", "5"]
        rules = broker.list_rules(path)
    async with world.broker() as broker:
        assert broker.list_rules(path) == rules
        await broker.send("t", [message("6", properties={"n": 7}), message("7", properties={"n": 8})])
        assert ids(await drain(broker, path)) == ["7"]


async def test_scheduled_messages_reach_subscriptions_when_due(world: World) -> None:
    async with world.broker() as broker:
        path = await _subscribe(broker, "s")
        keep, drop = await broker.schedule(
            "t", [message("a", scheduled_at=world.now + 9), message("b", scheduled_at=world.now + 9)]
        )
        assert keep != drop
        await broker.cancel_scheduled("t", [drop])
        assert await drain(broker, path) == []
    world.now += 10
    async with world.broker() as broker:
        broker.advance()
        await broker._store.open().join()
        assert ids(await drain(broker, path)) == ["a"]


async def test_the_time_to_live_of_a_topic_caps_its_subscriptions(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t", TopicDescription(default_ttl_s=10))
        await broker.entities.create_subscription("t", "s", SubscriptionDescription(default_ttl_s=20))
        await broker.send("t", [message("a", ttl_s=30)])
        (got,) = broker.peek("t/Subscriptions/s", 1, 1, None)
        assert got.message.ttl_s == 10


async def test_a_session_subscription_dead_letters_messages_without_a_session(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t")
        await broker.entities.create_subscription("t", "s", SubscriptionDescription(requires_session=True))
        await broker.send("t", [message("1", session="a"), message("2")])
        assert ids(await drain(broker, "t/Subscriptions/s", "a")) == ["1"]
        (dead,) = await drain(broker, "t/Subscriptions/s/$DeadLetterQueue")
        assert dead.set_properties["DeadLetterReason"] == "Session ID is null."


async def test_a_disabled_topic_refuses_messages(world: World) -> None:
    async with world.broker() as broker:
        await _subscribe(broker, "s")
        topic = broker.entities.topic("t")
        await broker.entities.update_topic("t", replace(topic.description, status="SendDisabled"))
        with pytest.raises(AmqpError, match="entity-disabled"):
            await broker.send("t", [message("1")])
