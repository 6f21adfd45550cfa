"""Decides when an input's checkpoints are written (protocol rule 2). Pure: the clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from dstream.sdk._stream import State

LINES = 1000
INTERVAL_S = 0.1
IDLE_INTERVAL_S = 10.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkpoint to write: `n` lines since the last one."""

    seq: int
    n: int
    state: State


class Pace:
    """Counts lines, keeps the newest state that covers all of them, and decides when to write it."""

    def __init__(self) -> None:
        self._seq = 0
        self._uncovered = 0
        self._covered = 0
        self._state: State | None = None
        self._written_at = float("-inf")

    @property
    def last_seq(self) -> int:
        return self._seq

    @property
    def uncovered_lines(self) -> int:
        """The number of lines after the newest state."""
        return self._uncovered

    def lines(self, count: int) -> None:
        self._uncovered += count

    def offer(self, state: State, now: float, *, at_once: bool = False) -> Mark | None:
        """Take a state that covers everything so far. Return the mark if it is due."""
        self._covered += self._uncovered
        self._uncovered = 0
        self._state = state
        if at_once:
            return self._take(now)
        if self._covered == 0:
            return self._take(now) if now - self._written_at >= IDLE_INTERVAL_S else None
        if self._covered >= LINES or now - self._written_at >= INTERVAL_S:
            return self._take(now)
        return None

    def idle(self, now: float) -> Mark | None:
        """The source has nothing more for now, so covered lines need not wait."""
        return self._take(now) if self._covered else None

    def end(self, now: float) -> Mark | None:
        """The stream is over: write any state that has not been written."""
        return self._take(now) if self._state is not None else None

    def _take(self, now: float) -> Mark | None:
        if self._state is None:
            return None
        self._seq += 1
        mark = Mark(self._seq, self._covered, self._state)
        self._covered = 0
        self._state = None
        self._written_at = now
        return mark
