"""One stored message in memory, the batch it was stored in, and a receiver's lock on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

__all__ = [
    "ACTIVE",
    "DEFERRED",
    "GONE",
    "LEAVING",
    "NO_OVERLAY",
    "SCHEDULED",
    "Batch",
    "Entry",
    "Lock",
    "Overlay",
    "State",
]


class State(IntEnum):
    """A message's state in its sub-queue. The numbers are stored; the first three are those of the protocol."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2
    GONE = 3


ACTIVE, DEFERRED, SCHEDULED, GONE = State


@dataclass(frozen=True, slots=True)
class Overlay:
    """The changes that settlements made to a message, whose own octets stay as received."""

    properties: Mapping[str, object] = field(default_factory=dict)
    dead_letter_source: str | None = None

    def with_properties(self, properties: Mapping[str, object]) -> Overlay:
        return replace(self, properties={**self.properties, **properties})


NO_OVERLAY = Overlay()


class Batch:
    """A row of the store that contains messages with consecutive sequence numbers."""

    __slots__ = ("count", "enqueued_at", "entries", "first_sequence", "gone", "id", "live", "queue_id")

    def __init__(self, id_: int, queue_id: int, first_sequence: int, enqueued_at: float, count: int) -> None:
        self.id = id_
        self.queue_id = queue_id
        self.first_sequence = first_sequence
        self.enqueued_at = enqueued_at
        self.count = count
        self.live = count
        self.gone = 0  # bit n: message n is no longer in the store
        self.entries: list[Entry] = []  # emptied once the row is written

    def remove(self, sequence: int) -> None:
        self.gone |= 1 << (sequence - self.first_sequence)
        self.live -= 1

    def restore(self, sequence: int) -> None:
        self.gone &= ~(1 << (sequence - self.first_sequence))
        self.live += 1


class Entry:
    """A message. A million of these must fit in memory: no dict, and no values that can be computed."""

    __slots__ = (
        "batch",
        "delivery_count",
        "encoded",
        "expires_at",
        "lock",
        "message_id",
        "overlay",
        "partition_key",
        "scheduled_at",
        "sequence",
        "session_id",
        "state",
    )

    def __init__(
        self,
        sequence: int,
        encoded: bytes,
        message_id: str,
        session_id: str | None,
        partition_key: str | None,
        expires_at: float | None,
        scheduled_at: float | None,
        batch: Batch,
        overlay: Overlay | None = None,
    ) -> None:
        self.sequence = sequence
        self.encoded = encoded
        self.message_id = message_id
        self.session_id = session_id
        self.partition_key = partition_key
        self.expires_at = expires_at
        self.scheduled_at = scheduled_at
        self.batch = batch
        self.overlay = overlay
        self.state: State = ACTIVE
        self.delivery_count = 0
        self.lock: Lock | None = None

    def moved(self, overlay: Overlay | None) -> Entry:
        """Return a new entry of the same stored message for another sub-queue. This entry must then count as gone."""
        other = Entry(
            self.sequence, self.encoded, self.message_id, self.session_id, self.partition_key, None, None,
            self.batch, overlay,
        )  # fmt: skip
        other.delivery_count = self.delivery_count
        return other


class Lock:
    """A receiver's lock on a message. `until` is ignored for messages of a session, which its session's lock covers."""

    __slots__ = ("entry", "session_id", "token", "until")

    def __init__(self, token: bytes, entry: Entry, until: float, session_id: str | None) -> None:
        self.token = token
        self.entry = entry
        self.until = until
        self.session_id = session_id


LEAVING = Lock(b"", Entry(0, b"", "", None, None, None, None, Batch(0, 0, 0, 0.0, 0)), 0.0, None)
"""Marks a message whose removal or move is being written to disk. No receiver holds it."""
