"""One sub-queue: its messages, their delivery order, its sessions and its listeners.

The order is by sequence number. Messages arrive in this order and mostly leave in it, so ready messages are in a deque;
messages that return (abandoned, lock lost) go to a small additional heap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Protocol

from dstream_sandbox.servicebus.broker.entry import ACTIVE, Entry, Lock
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["DEAD", "MAIN", "TRANSFER_DEAD", "Lane", "Line", "Listener", "Session", "SessionWaiter"]

MAIN, DEAD, TRANSFER_DEAD = 0, 1, 2
"""The numbers of an entity's sub-queues, as stored."""

_SPARSE = 1000


class Listener(Protocol):
    def available(self) -> None: ...
    def lost(self, error: AmqpError) -> None: ...


class SessionWaiter(Protocol):
    def offer(self) -> bool:
        """Take a free session, if any. Return True if one was taken or is no longer wanted."""

    def fail(self, error: AmqpError) -> None: ...


class Line:
    """The messages that are ready for delivery, oldest first."""

    __slots__ = ("_fresh", "_returned")

    def __init__(self) -> None:
        self._fresh: deque[Entry] = deque()
        self._returned: list[tuple[int, Entry]] = []

    def push(self, entry: Entry) -> None:
        if not self._fresh or self._fresh[-1].sequence < entry.sequence:
            self._fresh.append(entry)
        else:
            heappush(self._returned, (entry.sequence, entry))

    def extend(self, entries: list[Entry]) -> None:
        """Add entries, in order and newer than all present ones."""
        self._fresh.extend(entries)

    def pop(self) -> Entry | None:
        while self._fresh or self._returned:
            if self._returned and (not self._fresh or self._returned[0][0] < self._fresh[0].sequence):
                entry = heappop(self._returned)[1]
            else:
                entry = self._fresh.popleft()
            if entry.state is ACTIVE and entry.lock is None:  # otherwise, it expired or was moved while waiting
                return entry
        return None

    def has_ready(self) -> bool:
        entry = self.pop()
        if entry is None:
            return False
        self._put_back(entry)
        return True

    def _put_back(self, entry: Entry) -> None:
        if self._fresh and self._fresh[0].sequence < entry.sequence:
            heappush(self._returned, (entry.sequence, entry))
        else:
            self._fresh.appendleft(entry)


class Session:
    """One session's messages and holder."""

    __slots__ = ("holder", "line", "live", "locked", "locked_until")

    def __init__(self) -> None:
        self.line = Line()
        self.live = 0  # messages, ready or not
        self.holder: Listener | None = None
        self.locked_until = 0.0
        self.locked: dict[bytes, Lock] = {}


class Lane:
    """A sub-queue. `sessions` is None if it has no sessions: the lane itself then keeps the order."""

    def __init__(self, number: int, *, sessionful: bool = False) -> None:
        self.number = number
        self.entries: dict[int, Entry] = {}
        self.line = Line()
        self.sessions: dict[str, Session] | None = {} if sessionful else None
        self.listeners: deque[Listener] = deque()
        self.session_waiters: deque[SessionWaiter] = deque()

    def put(self, entry: Entry) -> None:
        """Add a new message, or one from another lane."""
        self.entries[entry.sequence] = entry
        if self.sessions is not None:
            self.session(entry.session_id or "").live += 1
        if entry.state is not ACTIVE:
            return
        self.make_ready(entry)

    def put_all(self, entries: list[Entry]) -> None:
        """Add new active messages, in order."""
        if self.sessions is not None:
            for entry in entries:
                self.put(entry)
            return
        self.entries.update((e.sequence, e) for e in entries)
        self.line.extend(entries)

    def make_ready(self, entry: Entry) -> None:
        line = self.line if self.sessions is None else self.session(entry.session_id or "").line
        line.push(entry)

    def drop(self, entry: Entry) -> None:
        if self.entries.pop(entry.sequence, None) is None or self.sessions is None:
            return
        session = self.session(entry.session_id or "")
        session.live -= 1
        self.tidy(entry.session_id or "")

    def session(self, session_id: str) -> Session:
        assert self.sessions is not None
        session = self.sessions.get(session_id)
        if session is None:
            session = self.sessions[session_id] = Session()
        return session

    def tidy(self, session_id: str) -> None:
        """Remove a session that has neither messages nor a holder."""
        assert self.sessions is not None
        session = self.sessions.get(session_id)
        if session and not session.live and not session.holder:
            del self.sessions[session_id]

    def next_free_session(self) -> str | None:
        """The first session that has ready messages and no holder."""
        assert self.sessions is not None
        for session_id, session in self.sessions.items():
            if session.holder is None and session.line.has_ready():
                return session_id
        return None

    def from_sequence(self, first: int) -> Iterator[Entry]:
        """Entries by sequence number. `entries` is in order of arrival, which can differ after moves."""
        position, misses = first, 0
        while misses < _SPARSE:  # numbers are mostly dense: counting up is cheaper than sorting a million
            entry = self.entries.get(position)
            position += 1
            if entry is None:
                misses += 1
                continue
            misses = 0
            yield entry
        for sequence in sorted(s for s in self.entries if s >= position):
            yield self.entries[sequence]

    def wake(self) -> None:
        while self.session_waiters and self.session_waiters[0].offer():
            self.session_waiters.popleft()
        for listener in self.listeners:
            listener.available()
        self.listeners.rotate()  # the first listener comes last next time, so that competing receivers share the work

    def lose(self, error: AmqpError) -> None:
        for listener in list(self.listeners):
            listener.lost(error)
        while self.session_waiters:
            self.session_waiters.popleft().fail(error)
