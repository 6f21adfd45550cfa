"""Acknowledged operations survive a crash; operations that cannot be stored have no effect."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dstream_sandbox.servicebus.broker import StoreUnavailable, open_broker
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription
from dstream_sandbox.servicebus.core import AmqpError

from tests.unit.sandbox.broker.world import World, drain, ids, lock_of, message

WRITER = """
import asyncio, json, sys, time
from pathlib import Path
from dstream_sandbox.servicebus.broker import open_broker
from dstream_sandbox.servicebus.nodes.intake import parse_message
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite

def message(n):
    return parse_message(encode_composite(0x73, [f"m{n}"]) + b"\\x00\\x53\\x75" + encode(b"x" * 200))

async def main():
    broker = open_broker(Path(sys.argv[1]), profile="standard", clock=time.time)
    if sys.argv[2] == "0":
        await broker.entities.create_queue("q")
    receiver = await broker.receiver("q", "peek_lock", None)
    n = int(sys.argv[2])
    while True:
        batch = range(n, n + 7)
        await broker.send("q", [message(i) for i in batch])
        print(json.dumps(["sent", list(batch)]), flush=True)
        for d in receiver.take(5):
            number = [int(d.message.message_id[1:])]
            print(json.dumps(["completing", number]), flush=True)
            await broker.settle("q", d.lock_token, "complete")
            print(json.dumps(["completed", number]), flush=True)
        n += 7

asyncio.run(main())
"""


def _run_and_kill(folder: Path, start: int, lines: int) -> dict[str, set[int]]:
    """Run a broker with a client, kill it with SIGKILL, and return what the client knew about each message."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(start)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines_read = [process.stdout.readline() for _ in range(lines)]
    os.kill(process.pid, signal.SIGKILL)
    lines_read += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    known: dict[str, set[int]] = {"sent": set(), "completing": set(), "completed": set()}
    for line in lines_read:
        if line.endswith(b"\n"):
            what, numbers = json.loads(line)
            known[what].update(numbers)
    return known


async def test_kill_9_loses_nothing_acknowledged(world: World) -> None:
    sent: set[int] = set()
    completing: set[int] = set()
    completed: set[int] = set()
    for run in range(3):
        known = await asyncio.to_thread(_run_and_kill, world.folder, run * 10**6, 70)
        sent |= known["sent"]
        completing |= known["completing"]
        completed |= known["completed"]
    assert len(sent) > 60
    assert len(completed) > 60
    async with world.broker() as broker:
        there = [int(str(d.message.message_id)[1:]) for d in broker.peek("q", 1, 10**6, None)]
    assert len(there) == len(set(there))
    assert sent - completing <= set(there)
    assert not completed & set(there)


async def test_states_survive_a_restart(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(max_delivery_count=5))
        await broker.send("q", [message(x, properties={"n": 1}) for x in "abcde"])
        await broker.schedule("q", [message("later", scheduled_at=world.now + 60)])
        receiver = await broker.receiver("q", "peek_lock", None)
        a, b, c, _d = receiver.take(4)
        await broker.settle("q", lock_of(a), "complete")
        await broker.settle("q", lock_of(b), "abandon", properties={"why": "b"})
        await broker.settle("q", lock_of(c), "defer", properties={"why": "c"})
        await broker.settle("q", lock_of(receiver.take(1)[0]), "dead_letter", reason="R")
        deferred_dead = await broker.receiver("q/$DeadLetterQueue", "peek_lock", None)
        await broker.settle("q/$DeadLetterQueue", lock_of(deferred_dead.take(1)[0]), "defer")
    async with world.broker() as broker:
        seen = broker.peek("q", 1, 10, None)
        assert [(d.message.message_id, d.state, d.delivery_count) for d in seen] == [
            ("c", "deferred", 0),
            ("d", "active", 0),
            ("e", "active", 0),
            ("later", "scheduled", 0),
        ]
        assert seen[0].set_properties == {"why": "c"}
        (dead,) = await broker.receive_deferred("q/$DeadLetterQueue", [b.sequence_number], "peek_lock", None)
        assert dead.set_properties == {"why": "b", "DeadLetterReason": "R"}
        assert dead.delivery_count == 1
        assert dead.message.application_properties() == {"n": 1, "why": "b", "DeadLetterReason": "R"}
        await broker.send("q", [message("f")])
        assert [d.sequence_number for d in await drain(broker, "q")] == [4, 5, 7]
        world.now += 61
        broker.advance()
        await broker._store.open().join()
        assert ids(await drain(broker, "q")) == ["later"]


async def test_a_recreated_entity_does_not_inherit_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(requires_duplicate_detection=True))
        await broker.send("q", [message("a")])
        await broker.entities.delete_queue("q")
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(requires_duplicate_detection=True))
        await broker.send("q", [message("a")])
        assert [d.sequence_number for d in await drain(broker, "q")] == [1]


async def test_messages_returned_to_a_deleted_entity_are_discarded(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        await broker.send("q", [message("a")])
        receiver = await broker.receiver("q", "receive_and_delete", None)
        receiver.take(1)
        await broker._store.open().join()
        await broker.entities.delete_queue("q")
        receiver.close()
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        assert broker.peek("q", 1, 10, None) == []


async def test_the_store_shrinks_to_live_messages(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q")
        for _ in range(20):
            await broker.send("q", [message(str(n), body=b"x" * 1000) for n in range(200)])
            await drain(broker, "q")
    db = sqlite3.connect(world.folder / "servicebus.db")
    rows = [
        db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("batches", "gone", "marks", "history")
    ]
    db.close()
    assert rows == [0, 0, 0, 0]
    assert (world.folder / "servicebus.db").stat().st_size < 2_000_000  # 4 MB were sent


async def test_operations_that_cannot_be_stored_have_no_effect(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(requires_duplicate_detection=True))
        await broker.entities.create_queue("kept")
        await broker.send("q", [message("a"), message("b")])
        receiver = await broker.receiver("q", "peek_lock", None)
        a, _b = receiver.take(2)
        size = broker.entities.queue("q").queue.size_bytes
        broker._store._db.execute("PRAGMA query_only = ON")
        results = await asyncio.gather(
            broker.send("q", [message("c")]),
            broker.settle("q", lock_of(a), "complete"),
            broker.send("q", [message("c")]),  # a duplicate of the message that was not stored
            broker.entities.create_queue("other"),
            broker.entities.delete_queue("kept"),
            return_exceptions=True,
        )
        assert [r.condition for r in results if isinstance(r, AmqpError)] == ["amqp:internal-error"] * 5
        broker._store._db.execute("PRAGMA query_only = OFF")
        assert broker.entities.queue("q").queue.size_bytes == size
        await broker.settle("q", lock_of(a), "complete")
        await broker.send("q", [message("c")])
        await broker.entities.create_queue("other")
        await broker.send("kept", [message("d")])
    async with world.broker() as broker:
        assert ids(broker.peek("kept", 1, 10, None)) == ["d"]
        assert ids(broker.peek("q", 1, 10, None)) == ["b", "c"]


async def test_operations_queued_behind_a_failed_commit_fail_too(world: World) -> None:
    async with world.broker() as broker:
        await broker.entities.create_queue("q", QueueDescription(requires_duplicate_detection=True))
        proceed = threading.Event()
        broker._store._thread.submit(proceed.wait)
        broker._store._db.execute("PRAGMA query_only = ON")
        original = asyncio.ensure_future(broker.send("q", [message("c")]))
        while not broker._store._writing:
            await asyncio.sleep(0)
        duplicate = asyncio.ensure_future(broker.send("q", [message("c")]))
        await asyncio.sleep(0)
        proceed.set()
        for sending in (original, duplicate):
            with pytest.raises(AmqpError, match="amqp:internal-error"):
                await sending
        broker._store._db.execute("PRAGMA query_only = OFF")
        await broker.send("q", [message("c")])
        assert ids(await drain(broker, "q")) == ["c"]


async def test_a_folder_has_one_broker(world: World) -> None:
    async with world.broker():
        with pytest.raises(StoreUnavailable):
            open_broker(world.folder, profile="standard", clock=lambda: world.now)
