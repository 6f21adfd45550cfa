"""Waits between connection attempts: exponential, with jitter, and limited in total."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from dstream.sdk.errors import UnreachableError
from dstream_mssql_cdc.errors import ReadInterrupted

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_CALM_S = 60.0
"""After this long without an interruption, the next one starts a new streak."""
_GIVE_UP_AFTER_S = 600.0
"""After this, the host restarts the provider (protocol rule 9), which shows the user the reason."""


class Backoff:
    """The waits within one streak of interruptions."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._began = self._last = float("-inf")
        self._wait_s = _FIRST_WAIT_S

    def next_wait_s(self, cause: ReadInterrupted) -> float:
        """The next wait: between half and all of the current interval. Raises UnreachableError once the streak is too
        long."""
        now = self._clock()
        if now - self._last > _CALM_S:
            self._began, self._wait_s = now, _FIRST_WAIT_S
        self._last = now
        if now - self._began > _GIVE_UP_AFTER_S:
            raise UnreachableError(
                "mssql.unreachable", f"SQL Server has not responded for {now - self._began:.0f} s: {cause.message}"
            ) from cause
        wait_s = self._wait_s * (0.5 + self._chance() / 2)
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        return wait_s
