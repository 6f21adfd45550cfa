"""Sessions: order, locks and state."""

from __future__ import annotations

import asyncio

import pytest
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription
from dstream_sandbox.servicebus.core import ANY_SESSION, AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, lock_of, message


async def _queue(broker: LocalBroker) -> None:
    await broker.entities.create_queue("q", QueueDescription(requires_session=True, lock_duration_s=30))


async def test_a_session_receiver_gets_only_its_session(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message("1", session="a"), message("2", session="b"), message("3", session="a")])
        assert broker.requires_session("q")
        assert not broker.requires_session("q/$DeadLetterQueue")
        assert ids(await drain(broker, "q", "a")) == ["1", "3"]
        assert ids(await drain(broker, "q", "b")) == ["2"]


async def test_a_message_without_a_session_is_refused_with_its_batch(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        with pytest.raises(AmqpError, match="amqp:not-allowed"):
            await broker.send("q", [message("1", session="a"), message("2")])
        assert broker.peek("q", 1, 10, None) == []


async def test_a_session_has_one_holder(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message("1", session="a")])
        holder = await broker.receiver("q", "peek_lock", "a")
        assert holder.session_locked_until == world.now + 30
        with pytest.raises(AmqpError, match="session-cannot-be-locked"):
            await broker.receiver("q", "peek_lock", "a")
        holder.close()
        assert (await broker.receiver("q", "peek_lock", "a")).session_id == "a"


@pytest.mark.parametrize(("path", "session"), [("q", None), ("plain", "a"), ("q/$DeadLetterQueue", "a")])
async def test_the_receiver_must_match_the_entity(world: World, path: str, session: str | None) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.entities.create_queue("plain")
        with pytest.raises(AmqpError, match="amqp:not-allowed"):
            await broker.receiver(path, "peek_lock", session)


async def test_any_session_waits_for_one_that_has_messages(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        waiting = asyncio.ensure_future(broker.receiver("q", "peek_lock", ANY_SESSION))
        await asyncio.sleep(0)
        assert not waiting.done()
        await broker.send("q", [message("1", session="a"), message("2", session="b")])
        first = await asyncio.wait_for(waiting, 5)
        second = await broker.receiver("q", "peek_lock", ANY_SESSION)
        assert [first.session_id, second.session_id] == ["a", "b"]
        assert ids(first.take(5)) == ["1"]


async def test_a_cancelled_wait_for_a_session_takes_none(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(broker.receiver("q", "peek_lock", ANY_SESSION), 0.01)
        await broker.send("q", [message("1", session="a")])
        assert (await asyncio.wait_for(broker.receiver("q", "peek_lock", ANY_SESSION), 5)).session_id == "a"


async def test_a_session_granted_to_a_cancelled_waiter_is_free(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message("1", session="a")])
        holder = await broker.receiver("q", "peek_lock", "a")
        waiting = asyncio.ensure_future(broker.receiver("q", "peek_lock", ANY_SESSION))
        await asyncio.sleep(0)
        holder.close()  # the waiter holds it now but has not been resumed yet
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ids((await broker.receiver("q", "peek_lock", "a")).take(5)) == ["1"]


async def test_an_expired_session_lock_is_reported_and_counts_deliveries(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message("1", session="a")])
        holder = await broker.receiver("q", "peek_lock", "a")
        lost: asyncio.Future[AmqpError] = asyncio.get_running_loop().create_future()
        holder.on_lost(lost.set_result)
        token = lock_of(holder.take(1)[0])
        world.now += 20
        assert broker.renew_session_lock("q", "a") == world.now + 30
        world.now += 31
        broker.advance()
        assert (await asyncio.wait_for(lost, 5)).condition == "com.microsoft:session-lock-lost"
        with pytest.raises(AmqpError, match="session-lock-lost"):
            await broker.settle("q", token, "complete")
        with pytest.raises(AmqpError, match="session-lock-lost"):
            broker.renew_session_lock("q", "a")
        await broker._store.open().join()
        again = await broker.receiver("q", "peek_lock", "a")
        assert again.take(1)[0].delivery_count == 1


async def test_a_closed_session_counts_no_delivery(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message("1", session="a"), message("2", session="a")])
        holder = await broker.receiver("q", "peek_lock", "a")
        assert len(holder.take(2)) == 2
        holder.close()
        again = await broker.receiver("q", "peek_lock", "a")
        assert [(d.message.message_id, d.delivery_count) for d in again.take(2)] == [("1", 0), ("2", 0)]


async def test_session_state_is_private_to_its_holder_and_survives_a_restart(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        with pytest.raises(AmqpError, match="session-lock-lost"):
            broker.get_session_state("q", "a")
        await broker.receiver("q", "peek_lock", "a")
        await broker.receiver("q", "peek_lock", "b")
        assert broker.get_session_state("q", "a") is None
        await broker.set_session_state("q", "a", b"half way")
        await broker.set_session_state("q", "b", b"x")
        await broker.set_session_state("q", "b", None)
    async with world.broker() as broker:
        await broker.receiver("q", "peek_lock", "a")
        await broker.receiver("q", "peek_lock", "b")
        assert broker.get_session_state("q", "a") == b"half way"
        assert broker.get_session_state("q", "b") is None
        assert broker.list_sessions("q", world.now - 1, 0, 10) == ["a"]


async def test_sessions_with_messages_are_listed(world: World) -> None:
    async with world.broker() as broker:
        await _queue(broker)
        await broker.send("q", [message(s, session=s) for s in "dcba"])
        await drain(broker, "q", "c")
        assert broker.list_sessions("q", None, 0, 2) == ["a", "b"]
        assert broker.list_sessions("q", None, 2, 2) == ["d"]
