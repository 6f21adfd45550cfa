"""Messages waiting to be sent, in order, and their tickets. No I/O; use while holding the owner's lock.

A lane is one session of an entity, or an entity without sessions. It has at most one send in flight, so that retries
keep the order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import NamedTuple

from dstream.sdk import Batch
from dstream_servicebus.publish.batches import Cut, fitting
from dstream_servicebus.publish.message import Message

_MANY = 10_000
"""More messages than any send has."""


class LaneKey(NamedTuple):
    """Shared by all messages of a send; the service refuses sends with mixed partition keys."""

    entity: str
    session_id: str | None
    partition_key: str | None
    is_dead_letter: bool = False
    """Whether its messages are rows that could not be delivered."""


class Ticket:
    """Tracks one `write`: done when each of its messages is accepted or rejected. Thread-safe."""

    def __init__(self, batch: Batch, messages: int) -> None:
        self.future: Future[None] = Future()
        self._batch = batch
        self._open = messages
        self._over = False
        self._lock = threading.Lock()
        self.settle(0)  # nothing to wait for

    def settle(self, messages: int, *, rejected: bool = False) -> None:
        with self._lock:
            self._open -= messages
            if rejected:
                self._batch.rejected += messages
            done = self._open == 0 and not self._over
            self._over |= done
        if done:
            self.future.set_result(None)

    def grow(self, messages: int) -> None:
        """Wait for this many more messages."""
        with self._lock:
            self._open += messages

    def fail(self, error: Exception) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
        self.future.set_exception(error)


class Lane:
    """Messages in order, each with its ticket.

    A batch is stored or refused as a whole. To find the message that is at fault, a refusal halves the next send and
    each accepted send doubles it again.
    """

    __slots__ = ("_chunks", "_max_messages", "_taken", "key")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self._chunks: deque[tuple[Ticket, list[Message]]] = deque()
        self._taken = 0  # of the first chunk
        self._max_messages: int | None = None

    def __bool__(self) -> bool:
        return bool(self._chunks)

    def add(self, ticket: Ticket, messages: list[Message]) -> None:
        self._chunks.append((ticket, messages))

    def head(self, cut: Cut) -> list[Message]:
        """Return the messages of the next send. They stay in the lane until they are settled."""
        return fitting(self._waiting(), cut if self._max_messages is None else cut.at_most(self._max_messages))

    def narrow(self, refused: int) -> None:
        """Halve the next send, after one of `refused` messages was refused."""
        self._max_messages = max(1, refused // 2)

    def widen(self) -> None:
        """Double the next send, after one was accepted."""
        if self._max_messages is not None:
            self._max_messages = 2 * self._max_messages if self._max_messages < _MANY else None

    def split(self) -> None:
        """Replace the first message, which is a pack, by the messages of its rows."""
        ticket, chunk = self._chunks[0]
        rows = chunk[self._taken].rows
        chunk[self._taken : self._taken + 1] = rows
        ticket.grow(len(rows) - 1)

    def settle(self, messages: int) -> list[tuple[Ticket, int]]:
        """Remove this many from the front; return their tickets, for the caller to settle without holding a lock."""
        settled: list[tuple[Ticket, int]] = []
        while messages:
            ticket, chunk = self._chunks[0]
            count = min(messages, len(chunk) - self._taken)
            settled.append((ticket, count))
            messages -= count
            self._taken += count
            if self._taken == len(chunk):
                self._chunks.popleft()
                self._taken = 0
        return settled

    def tickets(self) -> list[Ticket]:
        return [ticket for ticket, _ in self._chunks]

    def _waiting(self) -> Iterator[Message]:
        start = self._taken
        for _, chunk in self._chunks:
            for index in range(start, len(chunk)):
                yield chunk[index]
            start = 0
