"""Sending to a queue and receiving from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from dstream_sandbox.servicebus.core import AmqpError, Receiver

from tests.unit.sandbox.broker.world import World, drain, ids, lock_of, message, until_called


async def test_messages_are_received_in_the_order_they_were_sent(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b")])
        await broker.send("Q", [message("c")])
        deliveries = await drain(broker, "q")
        assert ids(deliveries) == ["a", "b", "c"]
        assert [d.sequence_number for d in deliveries] == [1, 2, 3]
        assert deliveries[0].message.encoded == message("a").encoded


async def test_a_message_is_not_available_before_its_send_is_durable(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        receiver = await broker.receiver("q", "peek_lock", None)
        sending = asyncio.ensure_future(broker.send("q", [message("a")]))
        await asyncio.sleep(0)
        assert receiver.take(1) == []
        await sending
        assert ids(receiver.take(1)) == ["a"]


async def test_a_waiting_receiver_is_notified_of_new_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        receiver = await broker.receiver("q", "peek_lock", None)
        await until_called(receiver.on_available)  # a new listener is called once
        assert receiver.take(1) == []
        waiting = asyncio.Event()
        receiver.on_available(waiting.set)
        await broker.send("q", [message("a")])
        await asyncio.wait_for(waiting.wait(), 60)
        assert ids(receiver.take(1)) == ["a"]


async def test_a_locked_message_is_not_delivered_to_another_receiver(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b")])
        one = await broker.receiver("q", "peek_lock", None)
        other = await broker.receiver("q", "peek_lock", None)
        assert ids(one.take(1)) == ["a"]
        assert ids(other.take(5)) == ["b"]


async def test_competing_receivers_take_turns(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        taken: dict[str, int] = {"one": 0, "other": 0}
        for name in taken:
            receiver = await broker.receiver("q", "peek_lock", None)
            receiver.on_available(partial(_take_all, receiver, taken, name))
        for n in range(10):
            await broker.send("q", [message(f"{n}")])
        while sum(taken.values()) < 10:
            await asyncio.sleep(0)
        assert taken == {"one": 5, "other": 5}


def _take_all(receiver: Receiver, taken: dict[str, int], name: str) -> None:
    taken[name] += len(receiver.take(100))


async def test_an_abandoned_message_keeps_its_position_and_counts_a_delivery(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b")])
        receiver = await broker.receiver("q", "peek_lock", None)
        first = receiver.take(1)[0]
        await broker.settle("q", lock_of(first), "abandon", properties={"tries": 1})
        again = receiver.take(2)
        assert ids(again) == ["a", "b"]
        assert [d.delivery_count for d in again] == [1, 0]
        assert again[0].set_properties == {"tries": 1}


async def test_a_released_message_counts_no_delivery(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "peek_lock", None)
        await broker.settle("q", lock_of(receiver.take(1)[0]), "release")
        assert receiver.take(1)[0].delivery_count == 0


async def test_a_lock_can_be_settled_once(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "peek_lock", None)
        token = lock_of(receiver.take(1)[0])
        settling = asyncio.ensure_future(broker.settle("q", token, "complete"))
        await asyncio.sleep(0)
        with pytest.raises(AmqpError) as second:
            await broker.settle("q", token, "complete")
        assert second.value.condition == "com.microsoft:message-lock-lost"
        await settling


async def test_a_dead_letter_has_a_reason_and_can_be_completed(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a", properties={"kept": 1})])
        receiver = await broker.receiver("q", "peek_lock", None)
        token = lock_of(receiver.take(1)[0])
        await broker.settle("q", token, "dead_letter", reason="bad", description="very bad", properties={"by": "me"})
        assert receiver.take(1) == []
        dead = await drain(broker, "q/$DeadLetterQueue")
        assert ids(dead) == ["a"]
        assert dead[0].set_properties == {
            "by": "me",
            "DeadLetterReason": "bad",
            "DeadLetterErrorDescription": "very bad",
        }
        assert dead[0].message.application_properties()["kept"] == 1
        assert await drain(broker, "q/$deadletterqueue") == []


async def test_a_dead_letter_cannot_be_dead_lettered_again(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "peek_lock", None)
        await broker.settle("q", lock_of(receiver.take(1)[0]), "dead_letter")
        dead_letters = await broker.receiver("q/$DeadLetterQueue", "peek_lock", None)
        with pytest.raises(AmqpError, match="amqp:not-allowed"):
            await broker.settle("q/$DeadLetterQueue", lock_of(dead_letters.take(1)[0]), "dead_letter")


async def test_a_deferred_message_is_received_only_by_sequence_number(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b")])
        receiver = await broker.receiver("q", "peek_lock", None)
        a = receiver.take(1)[0]
        await broker.settle("q", lock_of(a), "defer")
        assert ids(receiver.take(5)) == ["b"]
        with pytest.raises(AmqpError, match="message-not-found"):
            await broker.receive_deferred("q", [2], "peek_lock", None)
        again = await broker.receive_deferred("q", [a.sequence_number], "peek_lock", None)
        assert ids(again) == ["a"]
        assert again[0].state == "deferred"
        await broker.settle("q", lock_of(again[0]), "abandon")
        assert receiver.take(5) == []  # it stays deferred
        gone = await broker.receive_deferred("q", [a.sequence_number], "receive_and_delete", None)
        assert ids(gone) == ["a"]
        assert ids(broker.peek("q", 1, 10, None)) == ["b"]


async def test_peek_returns_locked_deferred_and_scheduled_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b"), message("c")])
        await broker.schedule("q", [message("later", scheduled_at=world.now + 60)])
        receiver = await broker.receiver("q", "peek_lock", None)
        a, _ = receiver.take(2)
        await broker.settle("q", lock_of(a), "defer")
        seen = broker.peek("q", 1, 10, None)
        assert [(d.message.message_id, d.state) for d in seen] == [
            ("a", "deferred"),
            ("b", "active"),
            ("c", "active"),
            ("later", "scheduled"),
        ]
        assert ids(broker.peek("q", 3, 1, None)) == ["c"]
        assert all(d.lock_token is None for d in seen)


async def test_receive_and_delete_delivers_only_durably_deleted_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b")])
        receiver = await broker.receiver("q", "receive_and_delete", None)
        assert receiver.take(1) == []
        await broker._store.open().join()
        got = receiver.take(1)
        assert ids(got) == ["a"]
        assert got[0].lock_token is None
        assert ids(broker.peek("q", 1, 10, None)) == ["b"]


async def test_messages_not_taken_by_receive_and_delete_return_when_it_closes(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("b"), message("c")])
        receiver = await broker.receiver("q", "receive_and_delete", None)
        receiver.take(2)
        await broker._store.open().join()
        receiver.close()
        await broker._store.open().join()
        assert ids(await drain(broker, "q")) == ["a", "b", "c"]
    async with world.broker() as broker:
        assert await drain(broker, "q") == []


async def test_a_message_without_an_id_gets_one(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message(None), message(None)])
        one, other = await drain(broker, "q")
        assert one.message.message_id
        assert one.message.message_id != other.message.message_id


async def test_receivers_are_notified_when_their_queue_is_deleted(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        receiver = await broker.receiver("q", "peek_lock", None)
        lost: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        receiver.on_lost(lost.set_result)
        await broker.entities.delete_queue("q")
        assert (await asyncio.wait_for(lost, 5)).condition == "amqp:not-found"
        with pytest.raises(AmqpError, match="amqp:not-found"):
            await broker.send("q", [message()])


@pytest.mark.parametrize(
    ("path", "for_send", "condition"),
    [
        ("nowhere", True, "amqp:not-found"),
        ("t/Subscriptions/nobody", False, "amqp:not-found"),
        ("t/$DeadLetterQueue", False, "amqp:not-found"),
        ("t/subscriptions/s", True, "amqp:not-allowed"),
        ("q/$DeadLetterQueue", True, "amqp:not-allowed"),
        ("off", True, "com.microsoft:entity-disabled"),
    ],
)
async def test_require_raises_amqp_conditions(world: World, path: str, for_send: bool, condition: str) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        off = await broker.entities.create_queue("off")
        await broker.entities.update_queue("off", replace(off.description, status="Disabled"))
        await broker.entities.create_topic("t")
        await broker.entities.create_subscription("t", "s")
        with pytest.raises(AmqpError) as refused:
            broker.require(path, for_send=for_send)
        assert refused.value.condition == condition


async def test_a_topic_itself_has_no_receivers(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t")
        broker.require("t", for_send=False)  # its $management node exists
        with pytest.raises(AmqpError, match="amqp:not-allowed"):
            await broker.receiver("t", "peek_lock", None)
