"""The recent figures of one run: rates now, and a point every few seconds of the last 15 minutes. Pure.

The caller passes the time, on the run's clock. Values are replaced as a whole, so that readers on other threads need no
lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

RATE_WINDOW_S = 5.0
"""Rates are averages over this time."""
POINT_EVERY_S = 5.0
KEPT_S = 15 * 60.0


class Sample(NamedTuple):
    """Counters and gauges of a run at one moment."""

    at_s: float
    rows_read: int
    rows_settled: int
    bytes_relayed: int
    in_flight: int
    throttled_s: float
    lag_ms: int | None
    tables: Mapping[str, float]
    """Rows read by table, as far as the input counts them."""


class Point(NamedTuple):
    """What plots show of a few seconds."""

    at_s: float
    rows_s: float
    """Rows settled per second."""
    lag_s: float | None
    in_flight: int
    throttled: float
    """Share of the time, 0 to 1."""


class History:
    def __init__(self) -> None:
        self._recent: tuple[Sample, ...] = ()
        self._last_of_point: Sample | None = None
        self.points: tuple[Point, ...] = ()

    def add(self, sample: Sample) -> None:
        start = next((each for each in reversed(self._recent) if sample.at_s - each.at_s >= RATE_WINDOW_S), None)
        since_s = sample.at_s if not self._recent else start.at_s if start else self._recent[0].at_s
        self._recent = (*(each for each in self._recent if each.at_s >= since_s), sample)
        before = self._last_of_point
        if before is None:
            self._last_of_point = sample
        elif sample.at_s - before.at_s >= POINT_EVERY_S:
            oldest_s = sample.at_s - KEPT_S
            self.points = (*(each for each in self.points if each.at_s >= oldest_s), _point(before, sample))
            self._last_of_point = sample

    def per_second(self, counter: Callable[[Sample], float]) -> float:
        """Return how fast a counter grows; 0 while unknown."""
        if len(self._recent) < 2:
            return 0.0
        return _rate(counter, self._recent[0], self._recent[-1])


def _rate(counter: Callable[[Sample], float], before: Sample, after: Sample) -> float:
    elapsed_s = after.at_s - before.at_s
    return max(0.0, counter(after) - counter(before)) / elapsed_s if elapsed_s > 0 else 0.0


def _point(before: Sample, after: Sample) -> Point:
    return Point(
        after.at_s,
        _rate(lambda each: each.rows_settled, before, after),
        None if after.lag_ms is None else after.lag_ms / 1000,
        after.in_flight,
        min(1.0, _rate(lambda each: each.throttled_s, before, after)),
    )
