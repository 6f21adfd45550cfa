"""Traces of rows on their way to the output: from the first row that is read to the ack that covers the last. Pure.

One span covers all rows of at least 100 ms, the pace at which inputs write checkpoints, so that the number of spans
does not grow with that of rows. `Tracer` and `RowsSpan` are the seam to OpenTelemetry, which this package does not
import.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dstream.protocol.messages import Ack, Checkpoint, TraceContext, encode

LEAST_S = 0.1
"""How long rows join a span before the next one begins."""


@dataclass(frozen=True, slots=True)
class TracedRows:
    """What a span covers. Times are Unix times in nanoseconds."""

    rows: int
    size: int
    """In bytes, as lines."""
    first_checkpoint: int
    """0: none covers these rows."""
    last_checkpoint: int
    rejected: int
    read_ns: int
    """When the last row had been read."""
    settled_ns: int | None
    """When the output had acknowledged all of them; None if it never did."""


class RowsSpan(Protocol):
    """An open span."""

    @property
    def traceparent(self) -> str:
        """Its context for the output's messages (W3C Trace Context, 3.2)."""

    def end(self, traced: TracedRows) -> None: ...


class Tracer(Protocol):
    """Begins the spans of one run. Called under a lock, at most every 100 ms."""

    def begin(self) -> RowsSpan: ...


@dataclass(slots=True)
class _Unit:
    span: RowsSpan
    begun_s: float
    rows: int = 0
    size: int = 0
    first: int = 0
    last: int = 0
    rejected: int = 0
    read_ns: int = 0
    uncovered: int = 0
    """Rows since the last checkpoint."""
    settled_ns: int | None = None

    @property
    def is_settled(self) -> bool:
        return self.settled_ns is not None and not self.uncovered

    def end(self) -> None:
        settled_ns = self.settled_ns if self.is_settled else None
        self.span.end(TracedRows(self.rows, self.size, self.first, self.last, self.rejected, self.read_ns, settled_ns))


class RowTraces:
    """The open spans of one pair of providers, oldest first. The newest takes the rows that arrive."""

    def __init__(self, tracer: Tracer, clock: Callable[[], float], now_ns: Callable[[], int]) -> None:
        self._tracer = tracer
        self._clock = clock
        self._now_ns = now_ns
        self._open: deque[_Unit] = deque()

    def relayed(self, rows: int, size: int) -> bytes:
        """Count rows that go to the output. Return the line to write before them if they have another context."""
        line = b""
        if not self._open or (not self._open[-1].uncovered and self._is_due(self._open[-1])):
            self.end_settled()
            span = self._tracer.begin()
            self._open.append(_Unit(span, self._clock()))
            line = encode(TraceContext(span.traceparent))
        unit = self._open[-1]
        unit.rows += rows
        unit.size += size
        unit.uncovered += rows
        return line

    def opened(self, checkpoint: Checkpoint) -> None:
        if self._open and self._open[-1].uncovered:
            unit = self._open[-1]
            unit.first = unit.first or checkpoint.seq
            unit.last, unit.uncovered, unit.settled_ns = checkpoint.seq, 0, None
            unit.read_ns = self._now_ns()

    def acknowledged(self, ack: Ack) -> None:
        """The rejected rows count for the newest span that the ack settles."""
        settled = [unit for unit in self._open if not unit.is_settled and 0 < unit.last <= ack.seq]
        for unit in settled:
            unit.settled_ns = self._now_ns()
        if settled:
            settled[-1].rejected += ack.rejected
        self.end_settled()

    def end_settled(self) -> None:
        """End what is settled, except the newest while it may still take rows."""
        while self._open and self._open[0].is_settled and (len(self._open) > 1 or self._is_due(self._open[0])):
            self._open.popleft().end()

    def close(self) -> None:
        """End everything; what is not settled now never will be."""
        while self._open:
            self._open.popleft().end()

    def _is_due(self, unit: _Unit) -> bool:
        return self._clock() - unit.begun_s >= LEAST_S
