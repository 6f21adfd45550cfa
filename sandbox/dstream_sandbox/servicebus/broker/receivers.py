"""The claims of receiving links on a sub-queue or a session."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from dstream_sandbox.servicebus.broker.delivery import delivery_of
from dstream_sandbox.servicebus.broker.entry import ACTIVE, Entry
from dstream_sandbox.servicebus.broker.lane import Lane, Session
from dstream_sandbox.servicebus.broker.queue import MessageQueue
from dstream_sandbox.servicebus.broker.transaction import Journal
from dstream_sandbox.servicebus.core import AmqpError, Delivery, ReceiveMode

__all__ = ["Claim", "SessionRequest", "claim_session"]


class Claim:
    """Implements core.Receiver, and Lane's Listener."""

    def __init__(
        self,
        queue: MessageQueue,
        lane: Lane,
        mode: ReceiveMode,
        journal: Journal,
        clock: Callable[[], float],
        session_id: str | None = None,
        session: Session | None = None,
    ) -> None:
        self.session_id = session_id
        self._queue = queue
        self._lane = lane
        self._mode = mode
        self._journal = journal
        self._clock = clock
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._callback: Callable[[], None] | None = None
        self._lost_callback: Callable[[AmqpError], None] | None = None
        self._error: AmqpError | None = None
        self._called = False
        self._closed = False
        self._removed: deque[Entry] = deque()  # receive and delete: durably removed, not delivered yet
        self._removing = 0
        lane.listeners.append(self)

    @property
    def session_locked_until(self) -> float | None:
        return self._session.locked_until if self._session else None

    @property
    def pending(self) -> int:
        return self._removing

    def take(self, count: int) -> list[Delivery]:
        if self._closed or self._error:
            return []
        if self._mode == "receive_and_delete":
            return self._take_removed(count)
        entries = self._queue.lock_ready(self._lane, self.session_id, count, self._clock())
        return [delivery_of(entry, self._queue.lock_of(entry)) for entry in entries]

    def on_available(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self.available()

    def on_lost(self, callback: Callable[[AmqpError], None]) -> None:
        self._lost_callback = callback
        if self._error:
            self._loop.call_soon(callback, self._error)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._leave()
        if self._removed:
            tx = self._journal.open()
            self._queue.store_again(tx, self._lane, self._removed)
            self._removed.clear()

    def available(self) -> None:
        if self._callback is not None and not self._called:
            self._called = True
            self._loop.call_soon(self._call)

    def lost(self, error: AmqpError) -> None:
        if self._error or self._closed:
            return
        self._error = error
        self._leave()
        if self._lost_callback is not None:
            self._loop.call_soon(self._lost_callback, error)

    def _leave(self) -> None:
        if self in self._lane.listeners:
            self._lane.listeners.remove(self)
        if self._session is not None and self._session.holder is self and self.session_id is not None:
            self._queue.free_session(self.session_id, self._clock())
        elif self._session is None:
            self._lane.wake()  # another receiver can take the messages announced to this one

    def _call(self) -> None:
        self._called = False
        if self._callback is not None and not self._closed and not self._error:
            self._callback()

    def _take_removed(self, count: int) -> list[Delivery]:
        """Deliver messages that are durably removed. Start to remove more, which are announced once that is durable."""
        out = [self._removed.popleft() for _ in range(min(count, len(self._removed)))]
        wanted = count - len(out) - self._removing
        if wanted > 0:
            self._remove_more(wanted)
        return [delivery_of(entry, None, ACTIVE) for entry in out]

    def _remove_more(self, wanted: int) -> None:
        tx = self._journal.open()
        entries = self._queue.pull_ready(tx, self._lane, self.session_id, wanted, self._clock())
        if not entries:
            return
        self._removing += len(entries)
        tx.then(self._arrived, entries)
        tx.undo(self._not_removed, len(entries))

    def _arrived(self, entries: list[Entry]) -> None:
        self._removing -= len(entries)
        if self._closed or self._error:
            tx = self._journal.open()
            self._queue.store_again(tx, self._lane, entries)
            return
        self._removed.extend(entries)
        self.available()

    def _not_removed(self, count: int) -> None:
        self._removing -= count


class SessionRequest:
    """A request for any free session. Implements Lane's SessionWaiter."""

    def __init__(self, claim: Callable[[str], Claim], lane: Lane) -> None:
        self.future: asyncio.Future[Claim] = asyncio.get_running_loop().create_future()
        self._claim = claim
        self._lane = lane

    def offer(self) -> bool:
        if self.future.done():
            return True
        session_id = self._lane.next_free_session()
        if session_id is None:
            return False
        self.future.set_result(self._claim(session_id))
        return True

    def fail(self, error: AmqpError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def claim_session(
    queue: MessageQueue, session_id: str, mode: ReceiveMode, journal: Journal, clock: Callable[[], float]
) -> Claim:
    """Lock a session. Raises AmqpError com.microsoft:session-cannot-be-locked."""
    queue.advance(clock())
    session = queue.main.session(session_id)
    if session.holder is not None:
        raise AmqpError(
            "com.microsoft:session-cannot-be-locked",
            f"The requested session '{session_id}' cannot be accepted. It may be locked by another receiver.",
        )
    claim = Claim(queue, queue.main, mode, journal, clock, session_id, session)
    session.holder = claim
    queue.hold_session(session_id, session, clock())
    return claim
