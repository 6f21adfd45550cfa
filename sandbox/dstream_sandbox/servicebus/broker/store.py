"""The durable store: SQLite in WAL mode, written by one thread, with many changes per commit.

Callers add changes to the open transaction and wait for its commit. While one commit is being written, the next
transaction fills; so the busier the broker, the larger its commits. Everything runs on the event loop except `_write`,
which runs on the store's only thread.

A batch of messages is one row. A separate bit mask marks the messages that have left it, and the row is deleted with
the last one; so settling costs a few octets, and the file contains only live batches and free pages.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dstream_sandbox.servicebus.broker import sql
from dstream_sandbox.servicebus.broker.entry import ACTIVE, SCHEDULED, Batch, Entry, State
from dstream_sandbox.servicebus.broker.overlay_codec import decode_overlay
from dstream_sandbox.servicebus.broker.transaction import Transaction
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["Store", "StoreUnavailable", "StoredEntity"]

_log = logging.getLogger(__name__)


class StoreUnavailable(Exception):
    """The data folder is in use by another process, or was written by another version."""


@dataclass(frozen=True, slots=True)
class StoredEntity:
    id: int
    kind: str
    path: str
    description: str
    created_at: float
    updated_at: float


class Store:
    """Implements Journal. Raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self._db = _connect(path)
        for statement in sql.SWEEP:
            self._db.execute(statement)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="servicebus-store")
        self._open = Transaction()
        self._opened = False  # a flush of the open transaction is pending
        self._writing = False
        self._last_batch_id: int = self._db.execute("SELECT coalesce(max(id), 0) FROM batches").fetchone()[0]

    def open(self) -> Transaction:
        if not self._opened:
            self._opened = True
            if not self._writing:
                asyncio.get_running_loop().call_soon(self._flush)
        return self._open

    def new_batch_id(self) -> int:
        self._last_batch_id += 1
        return self._last_batch_id

    async def close(self) -> None:
        """Write what was accepted, then close the file."""
        while self._opened or self._writing:
            await asyncio.wait([self.open().join()])
        self._thread.shutdown()
        self._db.close()

    # For recovery, in the order of use.

    def entities(self) -> list[StoredEntity]:
        return [StoredEntity(*row) for row in self._db.execute(sql.ALL_ENTITIES)]

    def counters(self) -> dict[int, int]:
        return dict(self._db.execute(sql.ALL_COUNTERS))

    def sessions(self) -> Iterator[tuple[int, str, bytes, float]]:
        yield from self._db.execute(sql.ALL_SESSIONS)

    def history(self) -> Iterator[tuple[int, float, list[str]]]:
        for queue, at, keys in self._db.execute(sql.ALL_HISTORY):
            yield queue, at, json.loads(keys)

    def entries(self) -> Iterator[tuple[Batch, list[Entry], Mapping[int, int]]]:
        """Yield all live messages by batch, oldest first, with the lanes of those outside the main lane."""
        masks = {batch: int.from_bytes(mask, "little") for batch, mask in self._db.execute(sql.ALL_GONE)}
        marks: dict[int, list[tuple[int, int, int, int, bytes | None]]] = {}
        for batch_id, *mark in self._db.execute(sql.ALL_MARKS):
            marks.setdefault(batch_id, []).append(tuple(mark))
        for row in self._db.execute(sql.ALL_BATCHES):
            batch, entries = _decode_batch(row)
            lanes: dict[int, int] = {}
            for sequence, lane, state, delivery_count, overlay in marks.get(batch.id, ()):
                entry = entries[sequence - batch.first_sequence]
                entry.state, entry.delivery_count = State(state), delivery_count
                entry.overlay = decode_overlay(overlay) if overlay else None
                if lane:
                    lanes[sequence] = lane
            if gone := masks.get(batch.id, 0):
                batch.gone = gone
                entries = [e for e in entries if not gone >> (e.sequence - batch.first_sequence) & 1]
                batch.live = len(entries)
            yield batch, entries, lanes

    def _flush(self) -> None:
        if self._writing or not self._opened:
            return
        work, self._open, self._opened, self._writing = self._open, Transaction(), False, True
        if work.is_empty():
            work.committed()
            self._writing = False
            return
        # The masks are copied here, on the loop, so that this commit does not include later changes.
        masks = {e.batch.id: (e.batch.live, e.batch.gone, e.batch.count) for e in work.removed}
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(self._thread, self._write, work, masks)
        written.add_done_callback(lambda done: self._written(work, done))

    def _written(self, work: Transaction, done: asyncio.Future[None]) -> None:
        error = done.exception()
        if error is None:
            work.committed()
        else:
            self._abort(work, error)
        self._writing = False
        self._flush()

    def _abort(self, work: Transaction, cause: BaseException) -> None:
        """Also abort the next transaction: changes based on this commit must not be acknowledged."""
        _log.error("the store could not commit: %s", cause)
        error = AmqpError("amqp:internal-error", f"The store could not commit: {cause}")
        next_, self._open, self._opened = self._open, Transaction(), False
        next_.aborted(error)
        work.aborted(error)

    def _write(self, work: Transaction, masks: dict[int, tuple[int, int, int]]) -> None:
        rows = [_encode_batch(batch) for batch in work.inserted]
        emptied = [(batch,) for batch, (live, _, _) in masks.items() if live == 0]
        changed = [(b, gone.to_bytes((count + 7) // 8, "little")) for b, (live, gone, count) in masks.items() if live]
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            steps: tuple[tuple[str, list[Any]], ...] = (
                (sql.INSERT_BATCH, rows),
                (sql.PUT_MARK, work.marks),
                (sql.PUT_GONE, changed),
                *((statement, emptied) for statement in sql.DELETE_BATCH),
                (sql.PUT_COUNTER, list(work.counters.items())),
            )
            for statement, many in steps:
                if many:
                    db.executemany(statement, many)
            for statement, values in work.statements:
                db.execute(statement, values)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        # Exclusive, and set before WAL: one process owns the folder, so no shared-memory file is needed.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        for pragma in sql.PRAGMAS:
            db.execute(pragma)
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in filter(str.strip, sql.SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {sql.SCHEMA_VERSION}")
        elif version != sql.SCHEMA_VERSION:
            raise StoreUnavailable(f"{path} was written by another version of the sandbox (schema {version})")
        db.execute("COMMIT")
    except sqlite3.OperationalError as exc:
        db.close()
        raise StoreUnavailable(f"{path} is in use by another process: {exc}") from exc
    except BaseException:
        db.close()
        raise
    return db


def _encode_batch(batch: Batch) -> tuple[int, int, int, float, str, bytes, bytes]:
    entries = batch.entries
    bodies = [e.encoded for e in entries]
    heads = (
        [e.message_id for e in entries],
        _column([e.session_id for e in entries]),
        _column([e.partition_key for e in entries]),
        _column([e.expires_at for e in entries]),
        _column([e.scheduled_at for e in entries]),
    )
    lengths = array("I", map(len, bodies)).tobytes()
    return (
        batch.id,
        batch.queue_id,
        batch.first_sequence,
        batch.enqueued_at,
        json.dumps(heads),
        lengths,
        b"".join(bodies),
    )


def _column(values: Sequence[object]) -> object:
    """Return the values, or a single value if all are equal."""
    first = values[0]
    return first if values.count(first) == len(values) else values


def _decode_batch(row: tuple[int, int, int, float, str, bytes, bytes]) -> tuple[Batch, list[Entry]]:
    id_, queue_id, first, enqueued_at, heads, lengths, bodies = row
    sizes = array("I", lengths)
    count = len(sizes)
    batch = Batch(id_, queue_id, first, enqueued_at, count)
    ids, *columns = json.loads(heads)
    sessions, partitions, expiries, schedules = (c if isinstance(c, list) else [c] * count for c in columns)
    entries: list[Entry] = []
    start = 0
    for n, size in enumerate(sizes):
        body = bodies[start : start + size]
        entry = Entry(first + n, body, ids[n], sessions[n], partitions[n], expiries[n], schedules[n], batch)
        entry.state = ACTIVE if schedules[n] is None else SCHEDULED
        entries.append(entry)
        start += size
    return batch, entries
