"""The locks on messages, and on sessions, whose lock covers all messages received through them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S
from dstream_sandbox.servicebus.broker.entry import Entry, Lock
from dstream_sandbox.servicebus.broker.lane import Lane, Session
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["LockTable", "message_lock_lost", "session_lock_lost"]

_token_prefix = os.urandom(8)
_token_number = count(1)


class LockTable:
    def __init__(self) -> None:
        self._locks: dict[bytes, Lock] = {}  # in order of expiry, since all have the same duration
        self._in_sessions: dict[bytes, Lock] = {}
        self._held: dict[str, Session] = {}  # sessions that have a holder

    def lock(self, entry: Entry, until: float, session_id: str | None, session: Session | None) -> None:
        token = _token_prefix + next(_token_number).to_bytes(8, "big")
        entry.lock = lock = Lock(token, entry, until, session_id if session else None)
        if session is None:
            self._locks[token] = lock
        else:
            self._in_sessions[token] = session.locked[token] = lock

    def valid(self, lane: Lane, token: bytes, now: float) -> Lock:
        """Return the lock of a message in `lane`. Raises AmqpError message-lock-lost or session-lock-lost."""
        lock = self._locks.get(token)
        if lock is not None and lock.until > now and lane.entries.get(lock.entry.sequence) is lock.entry:
            return lock
        if lane.sessions is None:
            raise message_lock_lost()
        lock = self._in_sessions.get(token)
        session = self.held(lock.session_id) if lock else None
        if lock is not None and session is not None and session.locked_until > now:
            return lock
        raise message_lock_lost() if self._held else session_lock_lost()

    def unlock(self, lock: Lock) -> None:
        lock.entry.lock = None
        if self._locks.pop(lock.token, None) is not None:
            return
        self._in_sessions.pop(lock.token, None)
        if session := self.held(lock.session_id):
            session.locked.pop(lock.token, None)

    def relock(self, lock: Lock) -> None:
        """Undo `unlock`. A lock whose session has been lost since then expires by itself."""
        lock.entry.lock = lock
        session = self.held(lock.session_id)
        if session is not None:
            self._in_sessions[lock.token] = session.locked[lock.token] = lock
        else:
            self._locks[lock.token] = lock

    def renew(self, lock: Lock, until: float) -> None:
        """Extend the lock. Does nothing for messages of a session, which its session's lock covers."""
        if lock.session_id is None:
            lock.until = until
            self._locks[lock.token] = self._locks.pop(lock.token)

    def until(self, lock: Lock) -> float:
        session = self._held.get(lock.session_id) if lock.session_id is not None else None
        return session.locked_until if session else lock.until

    def pop_late(self, now: float) -> list[Lock]:
        """Remove and return the expired locks of single messages."""
        late: list[Lock] = []
        for lock in self._locks.values():
            if lock.until > now:
                break
            late.append(lock)
        for lock in late:
            self.unlock(lock)
        return late

    def hold(self, session_id: str, session: Session, until: float) -> None:
        session.locked_until = until
        self._held[session_id] = session

    def held(self, session_id: str | None) -> Session | None:
        return self._held.get(session_id) if session_id is not None else None

    def let_go(self, session_id: str) -> tuple[Session, list[Lock]] | None:
        """Release the session from its holder. Return it and the locks that it covered."""
        session = self._held.get(session_id)
        if session is None:
            return None
        locks = list(session.locked.values())
        for lock in locks:
            self.unlock(lock)
        del self._held[session_id]
        return session, locks

    def late_sessions(self, now: float) -> Iterator[str]:
        for session_id, session in list(self._held.items()):
            if session.locked_until <= now:
                yield session_id

    def next_due(self) -> float:
        message = next((lock.until for lock in self._locks.values()), FOREVER_S)
        return min(message, min((s.locked_until for s in self._held.values()), default=FOREVER_S))


def message_lock_lost() -> AmqpError:
    return AmqpError(
        "com.microsoft:message-lock-lost",
        "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the"
        " queue.",
    )


def session_lock_lost() -> AmqpError:
    return AmqpError("com.microsoft:session-lock-lost", "The session lock was lost. Request a new session receiver.")
