"""Lock expiry, time to live and scheduled messages."""

from __future__ import annotations

import asyncio
import time

import pytest
from dstream_sandbox.servicebus.broker import open_broker
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, lock_of, message


async def test_an_expired_lock_returns_the_message_and_counts_a_delivery(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(lock_duration_s=30))
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "peek_lock", None)
        taken = receiver.take(1)[0]
        assert taken.locked_until == world.now + 30
        world.now += 30
        with pytest.raises(AmqpError, match="message-lock-lost"):
            await broker.settle("q", lock_of(taken), "complete")
        await broker._store.open().join()
        again = receiver.take(1)
        assert [(d.message.message_id, d.delivery_count) for d in again] == [("a", 1)]


async def test_a_renewed_lock_stays_valid(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(lock_duration_s=30))
        await broker.send("q", [message("a"), message("b")])
        receiver = await broker.receiver("q", "peek_lock", None)
        a, b = receiver.take(2)
        world.now += 20
        assert broker.renew_locks("q", [lock_of(a)]) == [world.now + 30]
        world.now += 20
        with pytest.raises(AmqpError, match="message-lock-lost"):
            await broker.settle("q", lock_of(b), "complete")
        await broker._store.open().join()
        assert ids(receiver.take(5)) == ["b"]
        await broker.settle("q", lock_of(a), "complete")


async def test_a_message_is_dead_lettered_at_max_delivery_count(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(max_delivery_count=3))
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "peek_lock", None)
        for count in range(2):
            taken = receiver.take(1)[0]
            assert taken.delivery_count == count
            await broker.settle("q", lock_of(taken), "abandon")
        assert receiver.take(1)  # and its lock expires
        world.now += 61
        broker.advance()
        await broker._store.open().join()
        assert receiver.take(1) == []
        (dead,) = await drain(broker, "q/$DeadLetterQueue")
        assert dead.set_properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"
        assert dead.delivery_count == 3


@pytest.mark.parametrize("keep", [True, False])
async def test_an_expired_message_is_dead_lettered_or_dropped(world: World, keep: bool) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(default_ttl_s=100, dead_letter_on_expiration=keep))
        await broker.send("q", [message("short", ttl_s=10), message("long", ttl_s=1000)])
        world.now += 11
        assert ids(await drain(broker, "q")) == ["long"]
        await broker.send("q", [message("capped", ttl_s=1000)])
        world.now += 101
        broker.advance()
        await broker._store.open().join()
        dead = await drain(broker, "q/$DeadLetterQueue")
        assert ids(dead) == (["short", "capped"] if keep else [])
        assert all(d.set_properties["DeadLetterReason"] == "TTLExpiredException" for d in dead)
        assert broker.peek("q", 1, 10, None) == []


async def test_a_locked_message_does_not_expire_until_it_is_returned(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a", ttl_s=10), message("b", ttl_s=10)])
        receiver = await broker.receiver("q", "peek_lock", None)
        a, b = receiver.take(2)
        world.now += 20
        await broker.settle("q", lock_of(a), "complete")
        await broker.settle("q", lock_of(b), "abandon")
        await broker._store.open().join()
        assert receiver.take(2) == []
        assert broker.peek("q", 1, 10, None) == []


async def test_a_scheduled_message_is_enqueued_when_due_with_a_new_number(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        (number,) = await broker.schedule("q", [message("later", scheduled_at=world.now + 60)])
        await broker.send("q", [message("sooner", scheduled_at=world.now + 30), message("now")])
        assert ids(await drain(broker, "q")) == ["now"]
        world.now += 61
        broker.advance()
        await broker._store.open().join()
        arrived = await drain(broker, "q")
        assert ids(arrived) == ["sooner", "later"] or ids(arrived) == ["later", "sooner"]
        assert all(d.sequence_number > number + 2 for d in arrived)
        assert all(d.enqueued_at == world.now for d in arrived)


async def test_a_cancelled_message_is_never_enqueued(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        keep, drop = await broker.schedule(
            "q", [message("a", scheduled_at=world.now + 60), message("b", scheduled_at=world.now + 60)]
        )
        await broker.cancel_scheduled("q", [drop])
        with pytest.raises(AmqpError, match="message-not-found"):
            await broker.cancel_scheduled("q", [keep, drop])
        world.now += 60
        broker.advance()
        await broker._store.open().join()
        assert ids(await drain(broker, "q")) == ["a"]


async def test_the_broker_wakes_up_when_a_message_is_due(world: World) -> None:
    broker = open_broker(world.folder, profile="standard", clock=time.time)
    await broker.entities.create_queue("q")
    receiver = await broker.receiver("q", "peek_lock", None)
    await broker.schedule("q", [message("a", scheduled_at=time.time() + 0.05)])
    arrived = asyncio.Event()
    receiver.on_available(lambda: arrived.set() if receiver.take(1) else None)
    await asyncio.wait_for(arrived.wait(), 60)
    await broker.close()
