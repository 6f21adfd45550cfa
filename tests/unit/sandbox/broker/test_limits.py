"""Sizes, counts and quotas."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, ids, message

KB = 1024


async def test_standard_allows_256_kb_per_message_and_batch(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        assert (broker.max_message_size, broker.max_batch_size) == (256 * KB, 256 * KB)
        await broker.send("q", [message(body=b"x" * 255 * KB)])
        for batch in ([message(body=b"x" * 256 * KB)], [message(body=b"x" * 100 * KB)] * 3):
            with pytest.raises(AmqpError, match="amqp:link:message-size-exceeded"):
                await broker.send("q", batch)
        assert len(broker.peek("q", 1, 10, None)) == 1


async def test_premium_allows_the_entitys_message_size_and_1_mb_batches(world: World) -> None:
    async with world.broker("premium") as broker:
        node = await broker.entities.create_queue("q")
        with pytest.raises(AmqpError, match="message-size-exceeded"):
            await broker.send("q", [message(body=b"x" * 1024 * KB)])
        await broker.entities.update_queue("q", replace(node.description, max_message_size_kb=100 * KB))
        await broker.send("q", [message(body=b"x" * 2000 * KB)])
        with pytest.raises(AmqpError, match="message-size-exceeded"):
            await broker.send("q", [message(body=b"x" * 600 * KB)] * 2)


async def test_a_batch_has_at_most_4500_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message(body=b"")] * 4500)
        with pytest.raises(AmqpError, match="4500"):
            await broker.send("q", [message(body=b"")] * 4501)


async def test_a_full_entity_refuses_until_there_is_room(world: World) -> None:
    async with world.broker() as broker:
        node = await broker.entities.create_queue("q")
        node.description = replace(node.description, max_size_mb=1)  # no real entity is this small
        for n in range(5):
            await broker.send("q", [message(str(n), body=b"x" * 200 * KB)])
        with pytest.raises(AmqpError, match="amqp:resource-limit-exceeded"):
            await broker.send("q", [message("5", body=b"x" * 200 * KB)])
        receiver = await broker.receiver("q", "peek_lock", None)
        first = receiver.take(1)[0]
        assert first.lock_token is not None
        await broker.settle("q", first.lock_token, "complete")
        await broker.send("q", [message("6", body=b"x" * 200 * KB)])
        assert ids(broker.peek("q", 1, 10, None)) == ["1", "2", "3", "4", "6"]
