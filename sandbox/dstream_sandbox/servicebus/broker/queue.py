"""The messages of one queue or subscription (or a topic's scheduled ones): storing, locking, settling, expiring.

No clock and no I/O: the time is an argument, and durable changes go to the journal's open transaction. A change becomes
visible in memory when its transaction is durable; until then, the message has the lock LEAVING.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import uuid4

from dstream_sandbox.servicebus.broker.deadlines import Deadlines
from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S
from dstream_sandbox.servicebus.broker.entry import (
    ACTIVE,
    DEFERRED,
    GONE,
    LEAVING,
    NO_OVERLAY,
    SCHEDULED,
    Batch,
    Entry,
    Lock,
    Overlay,
)
from dstream_sandbox.servicebus.broker.lane import DEAD, MAIN, TRANSFER_DEAD, Lane, Line, Session
from dstream_sandbox.servicebus.broker.locks import LockTable, session_lock_lost
from dstream_sandbox.servicebus.broker.outlets import Outlets, QueuePolicy
from dstream_sandbox.servicebus.broker.scheduled import ScheduledMessages
from dstream_sandbox.servicebus.broker.transaction import Journal, Transaction
from dstream_sandbox.servicebus.core import AmqpError, Message, Outcome

__all__ = ["MessageQueue"]


class MessageQueue:
    def __init__(self, id_: int, path: str, policy: QueuePolicy, journal: Journal, outlets: Outlets) -> None:
        self.id = id_
        self.path = path
        self.policy = policy
        self.main = Lane(MAIN, sessionful=policy.requires_session)
        self.dead = Lane(DEAD)
        self.transfer_dead = Lane(TRANSFER_DEAD)
        self.scheduled = ScheduledMessages(self._left)
        self.session_states: dict[str, tuple[bytes, float]] = {}
        self.size_bytes = 0
        self.next_sequence = 1
        self.accessed_at = 0.0
        self._locks = LockTable()
        self._expiries = Deadlines()
        self._due = FOREVER_S
        self._journal = journal
        self._outlets = outlets

    # Storing

    def store(
        self,
        tx: Transaction,
        messages: Sequence[Message],
        now: float,
        *,
        overlays: Sequence[Overlay | None] | None = None,
        max_ttl_s: float = FOREVER_S,
        lane: Lane | None = None,
    ) -> list[int]:
        """Add messages, to the main lane by default. Return their sequence numbers."""
        first, total = self.next_sequence, len(messages)
        batch = Batch(self._journal.new_batch_id(), self.id, first, now, total)
        cap = min(max_ttl_s, self.policy.default_ttl_s)
        timed, size, entries = False, 0, []
        for sequence, message in enumerate(messages, first):
            ttl, at, encoded = message.ttl_s, message.scheduled_at, message.encoded
            if ttl is None or ttl > cap:
                ttl = cap
            if at is not None and at <= now:
                at = None
            expires_at = None if ttl >= FOREVER_S else (at or now) + ttl
            entry = Entry(
                sequence, encoded, message.message_id or uuid4().hex, message.session_id, message.partition_key,
                expires_at, at, batch,
            )  # fmt: skip
            if at is not None:
                entry.state = SCHEDULED
            timed = timed or at is not None or expires_at is not None
            size += len(encoded)
            entries.append(entry)
        self.next_sequence += total
        self.size_bytes += size
        self.accessed_at = now
        tx.insert(batch, entries, self.next_sequence)
        lane = lane or self.main
        if overlays is not None or lane is not self.main:
            for n, entry in enumerate(entries):
                entry.overlay = overlays[n] if overlays else None
                tx.mark(entry, lane.number, entry.state, 0, entry.overlay)
        tx.then(self.show, lane, entries, timed)
        tx.undo(self._shrink, size)
        return list(range(first, first + total))

    def store_again(self, tx: Transaction, lane: Lane, entries: Sequence[Entry]) -> None:
        """Restore messages that were removed for a receiver that closed before getting them."""
        for old in entries:
            batch = Batch(self._journal.new_batch_id(), self.id, old.sequence, old.batch.enqueued_at, 1)
            entry = old.moved(old.overlay)
            entry.expires_at, entry.batch = old.expires_at, batch
            self.size_bytes += len(entry.encoded)
            tx.insert(batch, [entry], self.next_sequence)
            tx.mark(entry, lane.number, ACTIVE, entry.delivery_count, entry.overlay)
            tx.then(self.show, lane, [entry], True)
            tx.undo(self._shrink, len(entry.encoded))

    def show(self, lane: Lane, entries: list[Entry], timed: bool) -> None:
        """Make messages visible, once they are durable."""
        if timed:
            self._watch(lane, entries)
            entries = [e for e in entries if e.state is not SCHEDULED]
        if timed or lane is not self.main:
            for entry in entries:
                lane.put(entry)
        else:
            lane.put_all(entries)
        lane.wake()

    def recover(self, entries: Sequence[Entry], lanes: Mapping[int, int]) -> None:
        """Restore messages from the store. Their numbers are not in order if a message was stored again."""
        by_number = (self.main, self.dead, self.transfer_dead)
        for entry in entries:
            lane = by_number[lanes.get(entry.sequence, MAIN)]
            if entry.scheduled_at is not None or entry.expires_at is not None:
                self._watch(lane, [entry])
            if entry.state is not SCHEDULED:
                lane.put(entry)
            self.size_bytes += len(entry.encoded)

    # Receiving

    def lock_ready(self, lane: Lane, session_id: str | None, wanted: int, now: float) -> list[Entry]:
        """Lock up to `wanted` ready messages, oldest first."""
        self.advance(now)
        line, session = self._line(lane, session_id)
        until = now + self.policy.lock_duration_s
        locked: list[Entry] = []
        while len(locked) < wanted and (entry := self._pop(lane, line, now)):
            self._locks.lock(entry, until, session_id, session)
            locked.append(entry)
        if locked:
            self.accessed_at = now
            if session is None:
                self.due(until)
        return locked

    def pull_ready(self, tx: Transaction, lane: Lane, session_id: str | None, wanted: int, now: float) -> list[Entry]:
        """Remove up to `wanted` ready messages; the caller can use them once `tx` is durable."""
        self.advance(now)
        line, _ = self._line(lane, session_id)
        pulled: list[Entry] = []
        while len(pulled) < wanted and (entry := self._pop(lane, line, now)):
            self.remove(tx, lane, entry)
            pulled.append(entry)
        if pulled:
            self.accessed_at = now
        return pulled

    def deferred(self, lane: Lane, sequence_numbers: Sequence[int], session_id: str | None) -> list[Entry]:
        """Return the deferred messages with these numbers. Raises AmqpError if one is missing or locked."""
        found: list[Entry] = []
        for sequence in sequence_numbers:
            entry = lane.entries.get(sequence)
            known = entry is not None and entry.state is DEFERRED and entry.lock is None
            if entry is None or not known or (session_id is not None and entry.session_id != session_id):
                raise AmqpError(
                    "com.microsoft:message-not-found",
                    "Failed to lock one or more specified messages. The message does not exist.",
                )
            found.append(entry)
        return found

    def lock_deferred(self, entries: Sequence[Entry], session_id: str | None, now: float) -> None:
        until = now + self.policy.lock_duration_s
        session = self._locks.held(session_id)
        for entry in entries:
            self._locks.lock(entry, until, session_id, session)
        self.due(until)

    def peek(self, lane: Lane, first: int, wanted: int, session_id: str | None) -> list[Entry]:
        """Return messages by sequence number, locked or not; in the main lane, also scheduled ones."""
        found: list[Entry] = []
        for entry in lane.from_sequence(first):
            if session_id is None or entry.session_id == session_id:
                found.append(entry)
                if len(found) == wanted:
                    break
        if lane is self.main and self.scheduled:
            later = self.scheduled.from_sequence(first)
            found += [e for e in later if session_id is None or e.session_id == session_id]
            found = sorted(found, key=lambda e: e.sequence)[:wanted]
        return found

    # Settling

    def settle(
        self,
        lane: Lane,
        token: bytes,
        outcome: Outcome,
        now: float,
        *,
        reason: str = "",
        description: str = "",
        properties: Mapping[str, object] | None = None,
    ) -> Transaction | None:
        """Settle a locked message. Return the transaction that stores the change, or None if nothing is stored."""
        self.advance(now)
        lock = self._locks.valid(lane, token, now)
        entry = lock.entry
        if outcome == "dead_letter" and lane is not self.main:
            raise AmqpError("amqp:not-allowed", "A message of a dead-letter sub-queue can't be dead-lettered.")
        self._locks.unlock(lock)
        if outcome == "release":
            self._return(lane, entry, now)
            return None
        overlay = entry.overlay
        if properties:
            overlay = (overlay or NO_OVERLAY).with_properties(properties)
        tx = self._journal.open()
        if outcome == "complete":
            self.remove(tx, lane, entry, lock)
        elif outcome == "defer":
            self._hold(tx, lane, entry, lock)
            tx.mark(entry, lane.number, DEFERRED, entry.delivery_count, overlay)
            tx.then(self._deferred, entry, overlay)
        elif outcome == "dead_letter":
            self.dead_letter(tx, entry, reason, description, now, overlay, lock)
        else:
            self._count_delivery(tx, lane, entry, overlay, now, lock)
        return tx

    def renew(self, lane: Lane, tokens: Sequence[bytes], now: float) -> list[float]:
        self.advance(now)
        locks = [self._locks.valid(lane, token, now) for token in tokens]
        until = now + self.policy.lock_duration_s
        for lock in locks:
            self._locks.renew(lock, until)
        self.due(until)
        return [self._locks.until(lock) for lock in locks]

    def lock_of(self, entry: Entry) -> tuple[bytes, float] | None:
        """The token and expiry of a message's lock."""
        lock = entry.lock
        return (lock.token, self._locks.until(lock)) if lock and lock.token else None

    # Leaving

    def remove(self, tx: Transaction, lane: Lane, entry: Entry, lock: Lock | None = None) -> None:
        self._hold(tx, lane, entry, lock)
        tx.remove(entry)
        tx.then(self._forget, lane, entry)

    def dead_letter(
        self,
        tx: Transaction,
        entry: Entry,
        reason: str,
        description: str,
        now: float,
        overlay: Overlay | None = None,
        lock: Lock | None = None,
    ) -> None:
        """Move a message of the main lane to the dead-letter lane, or forward it to the entity for dead letters."""
        why = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        overlay = (overlay or entry.overlay or NO_OVERLAY).with_properties({k: v for k, v in why.items() if v})
        if self._outlets.forward_dead(tx, self, entry, overlay, now):
            self.remove(tx, self.main, entry, lock)
            return
        self._hold(tx, self.main, entry, lock)
        tx.mark(entry, DEAD, ACTIVE, entry.delivery_count, overlay)
        tx.then(self._buried, entry, overlay)

    def cancel_scheduled(self, tx: Transaction, sequence_numbers: Sequence[int]) -> None:
        self.scheduled.remove(tx, self.scheduled.find(sequence_numbers))

    # Sessions

    def hold_session(self, session_id: str, session: Session, now: float) -> None:
        until = now + self.policy.lock_duration_s
        self._locks.hold(session_id, session, until)
        self.due(until)

    def free_session(self, session_id: str, now: float) -> None:
        """Release a session closed by its holder: its locked messages are available again, without counting a delivery
        (Microsoft, "Message sessions", Impact of delivery count)."""
        if let_go := self._locks.let_go(session_id):
            session, locks = let_go
            session.holder = None
            for lock in locks:
                self._return(self.main, lock.entry, now)
            self.main.tidy(session_id)
            self.main.wake()

    def held_session(self, session_id: str, now: float) -> Session:
        """Return a session that has a holder. Raises AmqpError com.microsoft:session-lock-lost."""
        session = self._locks.held(session_id)
        if session is None or session.locked_until <= now:
            raise session_lock_lost()
        return session

    # Time

    def advance(self, now: float) -> None:
        """Process everything that is due."""
        if now < self._due:
            return
        self._due = FOREVER_S
        for lock in self._locks.pop_late(now):
            self._lock_ran_out(lock, now)
        for session_id in self._locks.late_sessions(now):
            self._session_ran_out(session_id, now)
        for sequence in self._expiries.pop_due(now):
            entry = self.main.entries.get(sequence)
            if entry and entry.lock is None and entry.expires_at is not None and entry.expires_at <= now:
                self._expire(entry, now)
        if due := self.scheduled.pop_due(now):
            tx = self._journal.open()
            self.scheduled.remove(tx, due)
            self._outlets.enqueue_due(tx, self, due, now)
        self.due(min(self._locks.next_due(), self._expiries.next(), self.scheduled.next_due()))

    @property
    def next_due(self) -> float:
        return self._due

    def due(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self._outlets.alarm(at)

    def lose(self, error: AmqpError) -> None:
        """Notify all receivers that the entity was deleted or disabled."""
        for lane in (self.main, self.dead, self.transfer_dead):
            lane.lose(error)

    # Inside

    def _line(self, lane: Lane, session_id: str | None) -> tuple[Line, Session | None]:
        if session_id is None or lane.sessions is None:
            return lane.line, None
        session = lane.session(session_id)
        return session.line, session

    def _pop(self, lane: Lane, line: Line, now: float) -> Entry | None:
        while entry := line.pop():
            if lane is self.main and entry.expires_at is not None and entry.expires_at <= now:
                self._expire(entry, now)
                continue
            return entry
        return None

    def _hold(self, tx: Transaction, lane: Lane, entry: Entry, lock: Lock | None) -> None:
        """Hide the message until `tx` is durable; if that fails, restore `lock`."""
        entry.lock = LEAVING
        tx.undo(self._release_hold, lane, entry, lock)

    def _release_hold(self, lane: Lane, entry: Entry, lock: Lock | None) -> None:
        entry.lock = None
        if lock is not None:
            self._locks.relock(lock)
            self.due(self._locks.until(lock))
        elif entry.state is ACTIVE:
            lane.make_ready(entry)

    def _return(self, lane: Lane, entry: Entry, now: float) -> None:
        """Make an unlocked message ready again (a deferred one stays deferred)."""
        if lane is self.main and entry.expires_at is not None and entry.expires_at <= now:
            self._expire(entry, now)
        elif entry.state is ACTIVE:
            lane.make_ready(entry)
            lane.wake()

    def _count_delivery(
        self, tx: Transaction, lane: Lane, entry: Entry, overlay: Overlay | None, now: float, lock: Lock | None
    ) -> None:
        """Count a failed delivery. At the maximum, dead-letter the message."""
        attempts = entry.delivery_count + 1
        if lane is self.main and attempts >= self.policy.max_delivery_count:
            entry.delivery_count = attempts
            self.dead_letter(
                tx, entry, "MaxDeliveryCountExceeded",
                f"Message could not be consumed after {attempts} delivery attempts.", now, overlay, lock,
            )  # fmt: skip
            return
        self._hold(tx, lane, entry, lock)
        tx.mark(entry, lane.number, entry.state, attempts, overlay)
        tx.then(self._abandoned, lane, entry, attempts, overlay, now)

    def _session_ran_out(self, session_id: str, now: float) -> None:
        let_go = self._locks.let_go(session_id)
        if let_go is None:
            return
        session, locks = let_go
        holder, session.holder = session.holder, None
        for lock in locks:
            self._lock_ran_out(lock, now)
        if holder is not None:
            holder.lost(session_lock_lost())
        self.main.tidy(session_id)
        self.main.wake()

    def _lock_ran_out(self, lock: Lock, now: float) -> None:
        entry = lock.entry
        lane = next(
            lane for lane in (self.main, self.dead, self.transfer_dead) if lane.entries.get(entry.sequence) is entry
        )
        self._count_delivery(self._journal.open(), lane, entry, entry.overlay, now, None)

    def _expire(self, entry: Entry, now: float) -> None:
        tx = self._journal.open()
        if self.policy.dead_letter_on_expiration:
            self.dead_letter(tx, entry, "TTLExpiredException", "The message expired and was dead lettered.", now)
        else:
            self.remove(tx, self.main, entry)

    def _watch(self, lane: Lane, entries: Sequence[Entry]) -> None:
        self._expiries.thin_out(self.main.entries)
        for entry in entries:
            if entry.state is SCHEDULED:
                self.scheduled.add(entry)
            elif lane is self.main and entry.expires_at is not None:
                self._expiries.add(entry.expires_at, entry.sequence)
        self.due(min(self._expiries.next(), self.scheduled.next_due()))

    # After a commit, or after its failure

    def _forget(self, lane: Lane, entry: Entry) -> None:
        entry.state = GONE
        lane.drop(entry)
        self._shrink(len(entry.encoded))

    def _deferred(self, entry: Entry, overlay: Overlay | None) -> None:
        entry.state, entry.lock, entry.overlay = DEFERRED, None, overlay

    def _abandoned(self, lane: Lane, entry: Entry, attempts: int, overlay: Overlay | None, now: float) -> None:
        entry.delivery_count, entry.overlay, entry.lock = attempts, overlay, None
        self._return(lane, entry, now)

    def _buried(self, entry: Entry, overlay: Overlay) -> None:
        entry.state = GONE
        self.main.drop(entry)
        self.dead.put(entry.moved(overlay))
        self.dead.wake()

    def _left(self, entry: Entry) -> None:
        self._shrink(len(entry.encoded))

    def _shrink(self, size: int) -> None:
        self.size_bytes -= size
