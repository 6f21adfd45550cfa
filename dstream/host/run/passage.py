"""What is inside a transform provider: the input's checkpoints that it has received and not yet passed on.

The relay behind the input reports to it in place of the task's checkpoints; the relay behind the transform claims each
checkpoint. The states stay here: a transform never sees one, so it cannot change what a later run resumes from.
"""

from __future__ import annotations

import threading
from collections import deque

import msgspec

from dstream.host.run.ledger import Ledger
from dstream.protocol.messages import Ack, BadLine, Checkpoint, End


class Passage:
    """Safe to use from the threads of both relays."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._changed = threading.Condition()
        self._inside: deque[Checkpoint] = deque()
        self._has_ended = False

    def relayed(self, rows: int, size: int, read_s: float = 0.0) -> bytes:
        """Count rows that go to the transform."""
        with self._changed:
            self._ledger.relayed(rows, read_s)
        return b""

    def opened(self, checkpoint: Checkpoint) -> None:
        """Add the input's next checkpoint. Raises `protocol.bad_sequence`, `protocol.count_mismatch`."""
        with self._changed:
            self._ledger.opened(checkpoint)
            self._inside.append(checkpoint)

    def ended(self, end: End) -> None:
        with self._changed:
            self._ledger.ended(end)
            self._has_ended = True

    def settle_all(self) -> None:
        """Nothing is settled before the output has it."""

    def wait_for_room(self, max_in_flight: int, timeout_s: float) -> bool:
        """Wait for at most `max_in_flight` checkpoints inside; return False after a timeout (back-pressure)."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ledger.in_flight <= max_in_flight, timeout_s)

    def may_pass_on(self) -> bool:
        """Rows may go to the transform at any time: it publishes nothing."""
        return True

    @property
    def oldest_read_s(self) -> float | None:
        """When the oldest row inside was read at the source; None if there is none."""
        with self._changed:
            return self._ledger.oldest_read_s

    def claim(self, seq: int) -> msgspec.Raw:
        """Return the state of a checkpoint that the transform passes on. Raises BadLine if it is not the next one."""
        with self._changed:
            if not self._inside or self._inside[0].seq != seq:
                expected = f"the next one is {self._inside[0].seq}" if self._inside else "it has passed all of them on"
                raise BadLine(f"a transform passes each checkpoint on, in order: it sent {seq}, but {expected}")
            checkpoint = self._inside.popleft()
            settled = self._ledger.acknowledged(Ack(seq, checkpoint.n))
            self._changed.notify_all()
            return settled.state

    def check_ended(self) -> None:
        """Raise BadLine unless the input has ended and everything has left."""
        with self._changed:
            if not self._has_ended or self._inside:
                raise BadLine("the transform ended before it had passed everything on")
