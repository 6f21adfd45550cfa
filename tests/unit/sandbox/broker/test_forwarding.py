"""Forwarding of messages and dead letters between entities."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, SubscriptionDescription
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, lock_of, message


async def test_messages_are_forwarded_along_a_chain(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("c")
        await broker.entities.create_topic("t")
        await broker.entities.create_subscription("t", "s", SubscriptionDescription(forward_to="c"))
        await broker.entities.create_queue("a", QueueDescription(forward_to="t"))
        await broker.send("a", [message("1"), message("2")])
        assert ids(await drain(broker, "c")) == ["1", "2"]
        with pytest.raises(AmqpError, match="amqp:not-allowed"):
            await broker.receiver("a", "peek_lock", None)


async def test_waiting_messages_are_forwarded_when_forwarding_is_enabled(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("b")
        a = await broker.entities.create_queue("a")
        await broker.send("a", [message("1"), message("2")])
        await broker.entities.update_queue("a", replace(a.description, forward_to="b"))
        assert ids(broker.peek("b", 1, 10, None)) == ["1", "2"]
        assert broker.peek("a", 1, 10, None) == []
    async with world.broker() as broker:
        assert ids(broker.peek("b", 1, 10, None)) == ["1", "2"]
        assert broker.peek("a", 1, 10, None) == []


async def test_undeliverable_messages_go_to_the_transfer_dead_letter_queue(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("sessions", QueueDescription(requires_session=True))
        await broker.entities.create_queue("a", QueueDescription(forward_to="sessions"))
        await broker.send("a", [message("1")])
        (kept,) = await drain(broker, "a/$Transfer/$DeadLetterQueue")
        assert kept.set_properties["DeadLetterReason"] == "amqp:not-allowed"
        await broker.entities.delete_queue("sessions")
        await broker.send("a", [message("2", session="s")])
    async with world.broker() as broker:
        (kept,) = await drain(broker, "a/$Transfer/$DeadLetterQueue")
        assert kept.set_properties["DeadLetterReason"] == "MessagingEntityNotFound"


async def test_a_message_is_forwarded_at_most_four_hops(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q5")
        for n in range(4, -1, -1):
            await broker.entities.create_queue(f"q{n}", QueueDescription(forward_to=f"q{n + 1}"))
        await broker.send("q1", [message("four hops")])
        await broker.send("q0", [message("five hops")])
        assert ids(await drain(broker, "q5")) == ["four hops"]
        (kept,) = await drain(broker, "q4/$Transfer/$DeadLetterQueue")
        assert kept.set_properties["DeadLetterReason"] == "MaxTransferHopCountExceeded"


async def test_dead_letters_are_forwarded_with_their_source(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("graves")
        await broker.entities.create_queue("a", QueueDescription(forward_dead_letters_to="graves"))
        await broker.send("a", [message("1")])
        receiver = await broker.receiver("a", "peek_lock", None)
        await broker.settle("a", lock_of(receiver.take(1)[0]), "dead_letter", reason="why")
    async with world.broker() as broker:
        assert broker.peek("a/$DeadLetterQueue", 1, 10, None) == []
        (dead,) = await drain(broker, "graves")
        assert dead.dead_letter_source == "a"
        assert dead.set_properties["DeadLetterReason"] == "why"


async def test_duplicates_are_dropped_at_the_destination(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("b", QueueDescription(requires_duplicate_detection=True))
        await broker.entities.create_queue("a", QueueDescription(forward_to="b"))
        await broker.send("a", [message("1"), message("2"), message("1")])
        await broker.send("a", [message("2")])
        assert ids(await drain(broker, "b")) == ["1", "2"]
