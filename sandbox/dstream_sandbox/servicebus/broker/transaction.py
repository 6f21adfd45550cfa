"""The changes of one commit of the store, and the changes in memory after it succeeds or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from dstream_sandbox.servicebus.broker import sql
from dstream_sandbox.servicebus.broker.entry import Batch, Entry, Overlay, State
from dstream_sandbox.servicebus.broker.overlay_codec import encode_overlay

__all__ = ["Journal", "Transaction"]


class Journal(Protocol):
    """Provides the open transaction, which callers share; each waits for its commit."""

    def open(self) -> Transaction:
        """Return the open transaction. Validate first: added changes cannot be removed."""

    def new_batch_id(self) -> int: ...


class Transaction:
    """Filled on the event loop, written by the store's thread as one SQLite transaction."""

    __slots__ = ("_then", "_undo", "counters", "inserted", "marks", "removed", "statements", "waiters")

    def __init__(self) -> None:
        self.inserted: list[Batch] = []
        self.removed: list[Entry] = []
        self.marks: list[tuple[int, int, int, int, int, bytes | None]] = []
        self.counters: dict[int, int] = {}
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self._then: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._undo: list[tuple[Callable[..., None], tuple[object, ...]]] = []

    def insert(self, batch: Batch, entries: list[Entry], next_sequence: int) -> None:
        batch.entries = entries
        self.inserted.append(batch)
        self.counters[batch.queue_id] = next_sequence

    def remove(self, entry: Entry) -> None:
        entry.batch.remove(entry.sequence)
        self.removed.append(entry)

    def mark(self, entry: Entry, lane: int, state: State, delivery_count: int, overlay: Overlay | None) -> None:
        """Store the state of a message that differs from its batch's row."""
        encoded = encode_overlay(overlay) if overlay else None
        self.marks.append((entry.batch.id, entry.sequence, lane, int(state), delivery_count, encoded))

    def remember(self, queue_id: int, at: float, keys: str) -> None:
        self.statements.append((sql.INSERT_HISTORY, (queue_id, at, keys)))

    def forget(self, queue_id: int, until: float) -> None:
        self.statements.append((sql.PRUNE_HISTORY, (queue_id, until)))

    def put_session(self, queue_id: int, session_id: str, state: bytes | None, now: float) -> None:
        if state is None:
            self.statements.append((sql.DELETE_SESSION, (queue_id, session_id)))
        else:
            self.statements.append((sql.PUT_SESSION, (queue_id, session_id, state, now)))

    def put_entity(
        self, id_: int, kind: str, path: str, description: str, created_at: float, updated_at: float
    ) -> None:
        self.statements.append((sql.PUT_ENTITY, (id_, kind, path, description, created_at, updated_at)))

    def delete_entity(self, id_: int) -> None:
        self.statements += [(statement, (id_,)) for statement in (*sql.DELETE_CONTENT, sql.DELETE_ENTITY)]

    def then(self, action: Callable[..., None], *arguments: object) -> None:
        """Run `action` once the transaction is durable."""
        self._then.append((action, arguments))

    def undo(self, action: Callable[..., None], *arguments: object) -> None:
        """Run `action` if the transaction fails, in reverse order."""
        self._undo.append((action, arguments))

    def join(self) -> asyncio.Future[None]:
        """Return a future that is done when the transaction is durable. It raises AmqpError amqp:internal-error if the
        transaction fails."""
        future = asyncio.get_running_loop().create_future()
        self.waiters.append(future)
        return future

    def is_empty(self) -> bool:
        return not (self.inserted or self.removed or self.marks or self.statements)

    def committed(self) -> None:
        for batch in self.inserted:
            batch.entries = []
        for action, arguments in self._then:
            action(*arguments)
        for future in self.waiters:
            if not future.done():
                future.set_result(None)

    def aborted(self, error: Exception) -> None:
        for action, arguments in reversed(self._undo):
            action(*arguments)
        for entry in self.removed:
            entry.batch.restore(entry.sequence)
        for future in self.waiters:
            if not future.done():
                future.set_exception(error)
