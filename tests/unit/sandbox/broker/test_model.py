"""Random operations on a queue, with restarts in between, compared with a model."""

from __future__ import annotations

import random

import pytest
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription
from dstream_sandbox.servicebus.core import AmqpError, Delivery

from tests.unit.sandbox.broker.world import World, ids, lock_of, message

LOCK_S = 30


class Model:
    """The expected contents of the queue. Every id is in exactly one place."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.dead: set[str] = set()
        self.deferred: dict[str, int] = {}
        self.attempts: dict[str, int] = {}


@pytest.mark.parametrize("seed", range(12))
async def test_no_message_is_lost_or_duplicated(world: World, seed: int) -> None:
    choose = random.Random(seed)
    model, number = Model(), 0
    for generation in range(4):
        async with world.broker() as broker:
            if generation == 0:
                await broker.entities.create_queue("q", QueueDescription(lock_duration_s=LOCK_S, max_delivery_count=3))
            receiver = await broker.receiver("q", "peek_lock", None)
            held: list[Delivery] = []
            for _ in range(40):
                kind = choose.choice(["send", "send", "take", "settle", "settle", "wait", "undefer"])
                if kind == "send":
                    names = [f"m{number + n}" for n in range(choose.randint(1, 4))]
                    number += len(names)
                    await broker.send("q", [message(name) for name in names])
                    model.live.update(names)
                elif kind == "take":
                    taken = receiver.take(choose.randint(1, 3))
                    assert ids(taken) == sorted((str(d.message.message_id) for d in taken), key=lambda m: int(m[1:]))
                    assert all(d.delivery_count == model.attempts.get(str(d.message.message_id), 0) for d in taken)
                    held += taken
                elif kind == "settle" and held:
                    await _settle(broker, held.pop(choose.randrange(len(held))), choose, model)
                elif kind == "undefer" and model.deferred:
                    name, sequence = choose.choice(sorted(model.deferred.items()))
                    await broker.receive_deferred("q", [sequence], "receive_and_delete", None)
                    del model.deferred[name]
                elif kind == "wait":
                    await _let_locks_expire(world, broker, held, model)
                _agrees(broker, model)
    async with world.broker() as broker:
        _agrees(broker, model)


async def _settle(broker: LocalBroker, delivery: Delivery, choose: random.Random, model: Model) -> None:
    name = str(delivery.message.message_id)
    outcome = choose.choice(["complete", "abandon", "defer", "dead_letter", "release"])
    await broker.settle("q", lock_of(delivery), outcome)  # type: ignore[arg-type]
    if outcome == "abandon":
        _count(model, name)
        return
    if outcome == "release":
        return
    model.live.discard(name)
    if outcome == "defer":
        model.deferred[name] = delivery.sequence_number
    elif outcome == "dead_letter":
        model.dead.add(name)


def _count(model: Model, name: str) -> None:
    model.attempts[name] = model.attempts.get(name, 0) + 1
    if model.attempts[name] >= 3:
        model.live.discard(name)
        model.dead.add(name)


async def _let_locks_expire(world: World, broker: LocalBroker, held: list[Delivery], model: Model) -> None:
    world.now += LOCK_S
    broker.advance()
    await broker._store.open().join()
    for delivery in held:
        with pytest.raises(AmqpError):
            broker.renew_locks("q", [lock_of(delivery)])
        _count(model, str(delivery.message.message_id))
    held.clear()


def _agrees(broker: LocalBroker, model: Model) -> None:
    there = ids(broker.peek("q", 1, 10_000, None))
    assert len(there) == len(set(there))
    assert set(there) == model.live | model.deferred.keys()
    dead = ids(broker.peek("q/$DeadLetterQueue", 1, 10_000, None))
    assert len(dead) == len(set(dead))
    assert set(dead) == model.dead
