"""The database's log position: one growing number that orders commits (start_lsn), writes (seqval) and rows (their
ids)."""

from __future__ import annotations

import threading

BULK = 1 << 26
"""How many numbers a statement of unknown size reserves; unused ones are returned unless another write followed."""


class LogCounter:
    def __init__(self, last: int) -> None:
        self._lock = threading.Lock()
        self._next = last + 1

    def take(self, count: int = 1) -> int:
        """Return the first of `count` numbers, all above every number returned before."""
        with self._lock:
            first = self._next
            self._next += count
            return first

    def give_back(self, first: int, taken: int, used: int) -> None:
        """Return unused numbers: only `used` of the `taken` ones were needed."""
        with self._lock:
            if self._next == first + taken:
                self._next = first + used

    def current(self) -> int:
        with self._lock:
            return self._next - 1
