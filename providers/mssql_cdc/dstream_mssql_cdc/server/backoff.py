"""How often to retry: waits with exponential backoff and jitter, limited in total; some causes only a few times."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from dstream.sdk.errors import DStreamError, SystemFault, UnreachableError
from dstream_mssql_cdc.errors import ReadInterrupted

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 15.0
_CALM_S = 60.0
"""After a connection has worked for this long, the next interruption starts a new streak."""
_GIVE_UP_AFTER_S = 600.0
"""After this, the host restarts the provider (protocol rule 9), which shows the user the reason."""
_LOGINS = 3
"""A login that has worked can fail with 18456 during a failover, before the login or its token is known there. More
attempts could lock the account."""
_STATEMENTS = 3
"""A statement whose columns or tables are gone (207, 208) is built from the catalog again. If it still fails, the
catalog agrees with it and retrying cannot help."""
_FIRST_LOGIN_TIMEOUT_S = 8
"""A stopping reader waits for the driver, which keeps retrying a dead port: only later attempts may take as long as the
user allows."""


class Backoff:
    """The waits within one streak of interruptions."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._began = 0.0
        self._connected: float | None = float("-inf")
        """Since when there is a connection; None if there is none."""
        self._wait_s = _FIRST_WAIT_S
        self._causes: Counter[str] = Counter()
        self.login_timeout_s = _FIRST_LOGIN_TIMEOUT_S
        """For the next attempt, if the user allows that much."""

    def next_wait_s(self, cause: DStreamError) -> float:
        """The next wait: between half and all of the current interval. Raises UnreachableError once the streak is too
        long, or `cause` if it is not worth another attempt."""
        now = self._clock()
        awaited_s = cause.awaited_s if isinstance(cause, ReadInterrupted) else 0.0
        if self._connected is not None and now - awaited_s - self._connected > _CALM_S:
            self._began, self._wait_s, self.login_timeout_s = now, _FIRST_WAIT_S, _FIRST_LOGIN_TIMEOUT_S
            self._causes.clear()
        self._connected = None
        self._check(cause)
        if now - self._began > _GIVE_UP_AFTER_S:
            raise UnreachableError(
                "mssql.unreachable",
                f"SQL Server has not responded for {now - self._began:.0f} s: {cause.message}",
                hint=cause.hint,
            ) from cause
        wait_s = self._wait_s * (0.5 + self._chance() / 2)
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        return wait_s

    def connected(self) -> None:
        self._connected = self._clock()

    def failed_to_connect(self) -> None:
        """Allow the next attempt more time."""
        self.login_timeout_s *= 2

    def _check(self, cause: DStreamError) -> None:
        if isinstance(cause, ReadInterrupted) and cause.code != "mssql.schema_changed":
            return
        self._causes[cause.message] += 1
        if isinstance(cause, ReadInterrupted):
            if self._causes[cause.message] > _STATEMENTS:
                raise SystemFault("mssql.query_failed", f"SQL Server returned an error: {cause.message}") from cause
        elif cause.code not in ("mssql.login_failed", "mssql.sign_in_failed") or self._causes[cause.message] > _LOGINS:
            raise cause
