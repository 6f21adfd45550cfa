"""Ends a run after a duration or a number of rows. Pure."""

from __future__ import annotations


class Limits:
    """None means no limit. The duration starts when both providers are ready for the first time."""

    def __init__(self, max_duration_s: float | None, max_rows: int | None) -> None:
        self._max_duration_s = max_duration_s
        self._max_rows = max_rows
        self._end_s: float | None = None

    def started(self, now_s: float) -> None:
        """Start the clock; later calls change nothing."""
        if self._end_s is None and self._max_duration_s is not None:
            self._end_s = now_s + self._max_duration_s

    def are_reached(self, now_s: float, rows_relayed: int) -> bool:
        if self._end_s is not None and now_s >= self._end_s:
            return True
        return self._max_rows is not None and rows_relayed >= self._max_rows
