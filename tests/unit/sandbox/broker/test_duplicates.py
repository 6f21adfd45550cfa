"""Duplicate detection."""

from __future__ import annotations

import asyncio

import pytest
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, TopicDescription
from dstream_sandbox.servicebus.broker.duplicates import DuplicateHistory
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, message

WINDOW = QueueDescription(requires_duplicate_detection=True, duplicate_window_s=60)


async def test_a_duplicate_is_accepted_and_dropped(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", WINDOW)
        await broker.send("q", [message("a"), message("b"), message("a")])
        await broker.send("q", [message("b"), message("c")])
        assert ids(await drain(broker, "q")) == ["a", "b", "c"]


async def test_without_detection_duplicates_are_kept(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a"), message("a")])
        assert ids(await drain(broker, "q")) == ["a", "a"]


async def test_ids_are_remembered_after_consumption_and_restart(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", WINDOW)
        await broker.send("q", [message("a")])
        await drain(broker, "q")
    async with world.broker() as broker:
        world.now += 59
        await broker.send("q", [message("a"), message("b")])
        assert ids(await drain(broker, "q")) == ["b"]
        world.now += 2
        await broker.send("q", [message("a"), message("b")])
        assert ids(await drain(broker, "q")) == ["a"]
    async with world.broker() as broker:
        world.now += 1
        await broker.send("q", [message("a"), message("b")])
        assert await drain(broker, "q") == []


async def test_a_duplicate_is_acknowledged_only_when_the_original_is_durable(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", WINDOW)
        original = asyncio.ensure_future(broker.send("q", [message("a")]))
        await asyncio.sleep(0)
        await broker.send("q", [message("a")])
        assert original.done()
        assert ids(await drain(broker, "q")) == ["a"]


async def test_a_topic_detects_duplicates_before_fan_out(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_topic("t", TopicDescription(requires_duplicate_detection=True))
        await broker.entities.create_subscription("t", "s")
        await broker.send("t", [message("a"), message("a")])
        await broker.send("t", [message("a")])
        assert ids(await drain(broker, "t/Subscriptions/s")) == ["a"]


async def test_with_partitioning_duplicates_have_the_same_partition_key(world: World) -> None:
    async with world.broker() as broker:
        partitioned = QueueDescription(requires_duplicate_detection=True, enable_partitioning=True)
        await broker.entities.create_queue("q", partitioned)
        for session in ("1", "2", "1"):
            await broker.send("q", [message("a", session=session)])
        assert ids(await drain(broker, "q")) == ["a", "a"]


async def test_a_batch_for_a_partitioned_entity_with_detection_is_refused(world: World) -> None:
    async with world.broker() as broker:
        partitioned = QueueDescription(requires_duplicate_detection=True, enable_partitioning=True)
        await broker.entities.create_queue("q", partitioned)
        await broker.entities.create_queue("plain", QueueDescription(enable_partitioning=True))
        with pytest.raises(AmqpError, match="partitioning and duplicate detection enabled"):
            await broker.send("q", [message("a"), message("b")])
        await broker.send("q", [message("a")])
        await broker.send("plain", [message("a"), message("b")])
        assert ids(await drain(broker, "q")) == ["a"]


def test_a_withdrawn_id_is_remembered_from_its_next_message() -> None:
    history = DuplicateHistory(60, partitioned=False)
    _, keys = history.admit([message("a")], 0)
    history.withdraw(keys)
    history.admit([message("a")], 50)
    assert history.prune(70) == 0
    assert history.admit([message("a")], 70) == ([], [])
