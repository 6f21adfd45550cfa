"""Decides which checkpoints an output may acknowledge: those with only durable lines before them. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dstream.protocol.messages import Ack


@dataclass(slots=True)
class Span:
    """A batch in flight; it ends before line `end`."""

    end: int
    rejected: int = 0
    durable: bool = False


class Settlement:
    """Lines are numbered in order of arrival; batches cover ranges of them and become durable in any order."""

    def __init__(self) -> None:
        self._received = 0
        self._marks: deque[tuple[int, int]] = deque()  # (seq, lines before it)
        self._open: deque[Span] = deque()
        self._durable = 0
        self._acknowledged = 0
        self._rejected = 0

    def lines(self, count: int) -> None:
        self._received += count

    def checkpoint(self, seq: int) -> None:
        self._marks.append((seq, self._received))

    def batch(self, end: int) -> Span:
        """Record that a batch that ends before line `end` is in flight. Pass the returned span to `durable`."""
        span = Span(end)
        self._open.append(span)
        return span

    def durable(self, span: Span, rejected: int = 0) -> Ack | None:
        """Record that the batch is durable. Return the ack that is now due, if any."""
        span.rejected, span.durable = rejected, True
        while self._open and self._open[0].durable:
            first = self._open.popleft()
            self._durable = first.end
            self._rejected += first.rejected
        return self.ack()

    def ack(self) -> Ack | None:
        """Return the ack for the newest covered checkpoint, if it is a new one."""
        covered: tuple[int, int] | None = None
        while self._marks and self._marks[0][1] <= self._durable:
            covered = self._marks.popleft()
        if covered is None:
            return None
        seq, before = covered
        ack = Ack(seq, before - self._acknowledged, self._rejected)
        self._acknowledged = before
        self._rejected = 0
        return ack

    @property
    def is_in_flight(self) -> bool:
        """Whether a batch is not known to be durable."""
        return bool(self._open)
