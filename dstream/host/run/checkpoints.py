"""From the output's ack to the input's: the ledger behind its lock, and the thread that stores settled states.

Rule 3: destination durable, then the host's state durable, then the ack to the input. There is one write at a time, of
the newest state, without delay; acks that arrive during a write are covered by the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dstream.errors import UnreachableError
from dstream.host.provider.link import TICK_S
from dstream.host.run.ledger import Ledger, Settled
from dstream.host.run.tracing import RowTraces
from dstream.protocol.messages import Ack, Checkpoint, End

RETRY_S = 1.0
URGENT_S = 1.0
"""How long an urgent end waits for a request to a backend."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The ledger at one moment, and the last checkpoint on disk."""

    rows_relayed: int = 0
    rows_settled: int = 0
    rows_rejected: int = 0
    in_flight: int = 0
    stored: int = 0
    last_stored: int = 0
    store_s: float = 0.0
    """How long storing took, with the attempts that failed."""
    oldest_read_s: float | None = None
    """When the oldest unsettled row was read at the source."""


class Checkpoints(threading.Thread):
    """Calls `store` to make a settled state durable (an exception goes to `failed`), then `stored`, in order.

    `store` returns False if there is nothing to store because the input keeps its own position. While a backend is
    unavailable, it is called again with the newest state. `may_pass_on`: whether rows may go to the output now.
    """

    def __init__(
        self,
        store: Callable[[Settled], bool],
        stored: Callable[[Settled], None],
        failed: Callable[[Exception], None],
        may_pass_on: Callable[[], bool] = lambda: True,
        traces: RowTraces | None = None,
    ) -> None:
        super().__init__(name="state-writer", daemon=True)
        self._store = store
        self._stored = stored
        self._failed = failed
        self.may_pass_on = may_pass_on
        self._ledger = Ledger()
        self._traces = traces
        self.sends_context = False
        """Whether the output is told the trace context of its rows."""
        self._changed = threading.Condition()
        self._newest: Settled | None = None
        self._is_closed = False
        self._stored_count = 0
        self._store_s = 0.0
        self._last_stored = 0
        self._has_ended = False

    def relayed(self, rows: int, size: int, read_s: float = 0.0) -> bytes:
        """Count rows that were read at the source at `read_s`. Call it before writing them to the output.

        Return the line to write to the output first, if any: their trace context.
        """
        with self._changed:
            self._ledger.relayed(rows, read_s)
            line = self._traces.relayed(rows, size) if self._traces is not None else b""
        return line if self.sends_context else b""

    def opened(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint. Call it before writing it to the output, which may acknowledge it immediately."""
        with self._changed:
            self._ledger.opened(checkpoint)
            if self._traces is not None:
                self._traces.opened(checkpoint)

    def ended(self, end: End) -> None:
        with self._changed:
            self._ledger.ended(end)
            self._has_ended = True

    def acknowledged(self, ack: Ack) -> None:
        with self._changed:
            self._newest = self._ledger.acknowledged(ack)
            self._changed.notify_all()
            if self._traces is not None:
                self._traces.acknowledged(ack)

    def settle_all(self) -> None:
        """Settle everything written to an output that sends no acks."""
        with self._changed:
            settled = self._ledger.settle_all()
            if settled is not None:
                self._newest = settled
                self._changed.notify_all()
                if self._traces is not None:
                    self._traces.acknowledged(Ack(settled.seq))

    def wait_for_room(self, max_in_flight: int, timeout_s: float) -> bool:
        """Wait for at most `max_in_flight` unacknowledged checkpoints; return False after a timeout (back-pressure)."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ledger.in_flight <= max_in_flight, timeout_s)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the input has ended and the output has settled all of it."""
        with self._changed:
            return self._has_ended and self._ledger.in_flight == 0

    @property
    def is_complete(self) -> bool:
        """Whether, in addition, the input's last state is stored."""
        with self._changed:
            return self._has_ended and self._last_stored == self._ledger.last_opened

    @property
    def counts(self) -> Counts:
        with self._changed:
            ledger = self._ledger
            return Counts(
                ledger.rows_relayed,
                ledger.rows_settled,
                ledger.rows_rejected,
                ledger.in_flight,
                self._stored_count,
                self._last_stored,
                self._store_s,
                ledger.oldest_read_s,
            )

    def end_traces(self) -> None:
        """End the spans of settled rows. Call it from time to time."""
        if self._traces is not None:
            with self._changed:
                self._traces.end_settled()

    def finish(self, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """Store what is settled, end the thread and wait for it. Once `is_urgent`, wait only a moment: a backend that
        does not answer delays the end of a write."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            if self._traces is not None:
                self._traces.close()
        while self.is_alive() and not is_urgent():
            self.join(TICK_S)
        if self.is_alive():
            self.join(URGENT_S)

    def run(self) -> None:
        while (settled := self._next()) is not None:
            try:
                with self._timed():
                    is_stored = self._store(settled)
            except UnreachableError as error:
                if not self._waits_to_retry(settled):
                    self._failed(error)
                    return
                continue
            except Exception as error:  # noqa: BLE001  # a bug here must end the run, not leave it waiting
                self._failed(error)
                return
            with self._changed:
                self._stored_count += is_stored
                self._last_stored = settled.seq
            self._stored(settled)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start_s = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._store_s += time.monotonic() - start_s

    def _waits_to_retry(self, settled: Settled) -> bool:
        """Put back what could not be stored, unless something newer waits; return False if this is the end."""
        with self._changed:
            self._newest = self._newest or settled
            return not self._changed.wait_for(lambda: self._is_closed, RETRY_S)

    def _next(self) -> Settled | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._is_closed)
            newest, self._newest = self._newest, None
            return newest
