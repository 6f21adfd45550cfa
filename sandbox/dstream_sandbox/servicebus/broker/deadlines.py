"""The times at which messages become due, by sequence number; removed messages are discarded from time to time."""

from __future__ import annotations

from collections.abc import Container, Iterator
from heapq import heapify, heappop, heappush

from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S

__all__ = ["Deadlines"]

_SLACK = 10_000


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._thin_at = _SLACK

    def add(self, at: float, sequence: int) -> None:
        heappush(self._heap, (at, sequence))

    def next(self) -> float:
        return self._heap[0][0] if self._heap else FOREVER_S

    def pop_due(self, now: float) -> Iterator[int]:
        while self._heap and self._heap[0][0] <= now:
            yield heappop(self._heap)[1]

    def thin_out(self, alive: Container[int]) -> None:
        """Discard messages that were removed before they were due, whenever the heap has doubled."""
        if len(self._heap) < self._thin_at:
            return
        self._heap = [item for item in self._heap if item[1] in alive]
        heapify(self._heap)
        self._thin_at = 2 * len(self._heap) + _SLACK
