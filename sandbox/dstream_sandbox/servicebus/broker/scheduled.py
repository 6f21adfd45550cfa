"""Scheduled messages. They have a sequence number, can be peeked and cancelled, and do not belong to a lane yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dstream_sandbox.servicebus.broker.deadlines import Deadlines
from dstream_sandbox.servicebus.broker.entry import GONE, LEAVING, Entry
from dstream_sandbox.servicebus.broker.transaction import Transaction
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["ScheduledMessages"]


class ScheduledMessages:
    def __init__(self, left: Callable[[Entry], None]) -> None:
        """`left` is called with each message that has been durably removed."""
        self._entries: dict[int, Entry] = {}
        self._deadlines = Deadlines()
        self._left = left

    def __len__(self) -> int:
        return len(self._entries)

    def from_sequence(self, first: int) -> Iterator[Entry]:
        return (entry for sequence, entry in self._entries.items() if sequence >= first)

    def add(self, entry: Entry) -> None:
        self._entries[entry.sequence] = entry
        self._watch(entry)

    def next_due(self) -> float:
        return self._deadlines.next()

    def pop_due(self, now: float) -> list[Entry]:
        """Return the messages that are due. The caller must remove them."""
        found = (self._entries.get(sequence) for sequence in self._deadlines.pop_due(now))
        return [entry for entry in found if entry is not None and entry.lock is None]

    def find(self, sequence_numbers: Sequence[int]) -> list[Entry]:
        """Return messages by number. Raises AmqpError com.microsoft:message-not-found if one is not scheduled."""
        found: list[Entry] = []
        for sequence in sequence_numbers:
            entry = self._entries.get(sequence)
            if entry is None or entry.lock is not None:
                raise AmqpError("com.microsoft:message-not-found", f"The scheduled message {sequence} was not found.")
            found.append(entry)
        return found

    def remove(self, tx: Transaction, entries: Sequence[Entry]) -> None:
        for entry in entries:
            entry.lock = LEAVING
            tx.remove(entry)
            tx.then(self._forget, entry)
            tx.undo(self._stay, entry)

    def _forget(self, entry: Entry) -> None:
        entry.state = GONE
        del self._entries[entry.sequence]
        self._left(entry)

    def _stay(self, entry: Entry) -> None:
        entry.lock = None
        self._watch(entry)

    def _watch(self, entry: Entry) -> None:
        if entry.scheduled_at is not None:
            self._deadlines.add(entry.scheduled_at, entry.sequence)
