"""Tracks which checkpoint covers which rows, and what an ack settles. Pure: no I/O, no clock, no threads.

Rule 4: three counts must agree: the host's own, the checkpoint's n and the ack's n. If they differ, a row was lost or
duplicated between two processes, and nothing more is stored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from dstream.errors import SystemFault
from dstream.protocol.messages import Ack, Checkpoint, End

_EMPTY_STATE = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Settled:
    """A checkpoint that is durable at the destination: its state may be stored."""

    seq: int
    state: msgspec.Raw


@dataclass(frozen=True, slots=True)
class _Open:
    seq: int
    n: int
    state: msgspec.Raw
    read_s: float | None
    """When its first row was read at the source; None without rows."""


class Ledger:
    """Checkpoints in flight, ordered by number."""

    def __init__(self) -> None:
        self._open: deque[_Open] = deque()
        self._uncovered = 0
        self._uncovered_read_s: float | None = None
        self.rows_relayed = 0
        self.rows_settled = 0
        self.rows_rejected = 0
        self.last_opened = 0
        self.last_settled = 0

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def uncovered(self) -> int:
        """Rows since the last checkpoint."""
        return self._uncovered

    @property
    def oldest_read_s(self) -> float | None:
        """When the oldest row that is not settled was read at the source; None if all are settled."""
        return next((each.read_s for each in self._open if each.read_s is not None), self._uncovered_read_s)

    def relayed(self, rows: int, read_s: float = 0.0) -> None:
        """Count data lines that go to the output. `read_s`: when they were read at the source."""
        if self._uncovered_read_s is None and rows:
            self._uncovered_read_s = read_s
        self._uncovered += rows
        self.rows_relayed += rows

    def opened(self, checkpoint: Checkpoint) -> None:
        """Add the input's next checkpoint. Raises `protocol.bad_sequence`, `protocol.count_mismatch`."""
        if checkpoint.seq != self.last_opened + 1:
            raise _sequence(f"the input sent checkpoint {checkpoint.seq} after {self.last_opened}")
        if checkpoint.n != self._uncovered:
            raise _mismatch(
                f"checkpoint {checkpoint.seq} of the input counts {checkpoint.n} rows, "
                f"but the host relayed {self._uncovered}"
            )
        state = _EMPTY_STATE if isinstance(checkpoint.state, msgspec.UnsetType) else checkpoint.state
        self._open.append(_Open(checkpoint.seq, checkpoint.n, state, self._uncovered_read_s))
        self.last_opened = checkpoint.seq
        self._uncovered = 0
        self._uncovered_read_s = None

    def acknowledged(self, ack: Ack) -> Settled:
        """Settle everything up to `ack.seq`. Raises `protocol.bad_sequence`, `protocol.count_mismatch`."""
        if not self.last_settled < ack.seq <= self.last_opened:
            raise _sequence(
                f"the output acknowledged checkpoint {ack.seq}; "
                f"the last acknowledged is {self.last_settled}, the last sent {self.last_opened}"
            )
        rows = 0
        while self._open and self._open[0].seq <= ack.seq:
            newest = self._open.popleft()
            rows += newest.n
        if ack.n != rows:
            raise _mismatch(f"the output settled {ack.n} rows up to checkpoint {ack.seq}, but received {rows}")
        if not 0 <= ack.rejected <= rows:
            raise _mismatch(f"the output rejected {ack.rejected} of {rows} rows up to checkpoint {ack.seq}")
        self.last_settled = ack.seq
        self.rows_settled += rows
        self.rows_rejected += ack.rejected
        return Settled(newest.seq, newest.state)

    def settle_all(self) -> Settled | None:
        """Settle everything open, as one ack would; return None if nothing is open."""
        if not self._open:
            return None
        return self.acknowledged(Ack(self.last_opened, sum(checkpoint.n for checkpoint in self._open)))

    def ended(self, end: End) -> None:
        """Check that the end directly follows the last checkpoint (rule 10)."""
        if end.seq != self.last_opened:
            raise _sequence(f"the input ended at checkpoint {end.seq}, but its last one was {self.last_opened}")
        if self._uncovered:
            raise _mismatch(f"the input ended with {self._uncovered} rows after its last checkpoint")


def _mismatch(message: str) -> SystemFault:
    return SystemFault(
        "protocol.count_mismatch",
        message,
        hint="A row was lost or duplicated between the processes. The checkpoint is not stored; "
        "the next run resumes from the last stored one. Report this to the provider's author.",
    )


def _sequence(message: str) -> SystemFault:
    return SystemFault(
        "protocol.bad_sequence", message, hint="Checkpoints are numbered 1, 2, 3, ... in each run; acks never go back."
    )
