"""Wakes the broker when something is due: locks, time to live, scheduled messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dstream_sandbox.servicebus.broker.descriptions import FOREVER_S

__all__ = ["Alarm"]

_LONGEST_SLEEP_S = 60.0
"""The loop's timers are monotonic but the broker uses the wall clock, so it is checked at this interval."""


class Alarm:
    def __init__(self, clock: Callable[[], float], ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._at = FOREVER_S
        self._closed = False

    def set(self, at: float) -> None:
        """Ring at `at`, unless an earlier time is already set."""
        if at >= self._at or self._closed:
            return
        self._at = at
        if self._handle is not None:
            self._handle.cancel()
        delay = min(max(0.0, at - self._clock()), _LONGEST_SLEEP_S)
        self._handle = asyncio.get_running_loop().call_later(delay, self._wake)

    def close(self) -> None:
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()

    def _wake(self) -> None:
        at, self._handle, self._at = self._at, None, FOREVER_S
        if at > self._clock():
            self.set(at)
            return
        self._ring()
