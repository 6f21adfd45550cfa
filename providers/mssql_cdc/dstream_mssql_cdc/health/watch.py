"""Watches capture and the stored checkpoint during a run, and reports metrics and warnings.

On a thread and a connection of its own: while the output takes no rows, the reader waits, and its position ages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from dstream.sdk import State, Telemetry
from dstream.sdk.errors import DStreamError
from dstream_mssql_cdc.health import checks, facts
from dstream_mssql_cdc.health.facts import Denied, Platform, TimeToLoss
from dstream_mssql_cdc.state import load_state

INTERVAL_S = 60.0
_STOPPING_S = 1.0
"""How long a stopping run waits for a query in progress. The thread ends with the process."""

T = TypeVar("T")


class HealthConnection(Protocol):
    """Raises DStreamError."""

    def rows(self, statement: str, *parameters: object) -> Sequence[Any]: ...
    def close(self) -> None: ...


class HealthWatch:
    """Looks once per minute. Whatever it cannot find out, it does not report: it never ends the run."""

    def __init__(
        self,
        connect: Callable[[], HealthConnection],
        telemetry: Telemetry,
        stored: State,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.stored = stored
        """The last checkpoint that the host has stored; another thread sets it."""
        self._connect = connect
        self._telemetry = telemetry
        self._interval_s = interval_s
        self._connection: HealthConnection | None = None
        self._where: Platform | None = None
        self._denied: set[str] = set()
        self._is_short = False
        self._last_error: datetime | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(_STOPPING_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._interval_s)
        self._close()

    def look(self) -> None:
        """Ask the server, and report. After a lost connection, the next look connects again."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._where = facts.platform(self._connection.rows)
                self._denied.clear()
            assert self._where is not None
            self._look_at_checkpoint(self._connection, self._where)
            if not self._where.is_read_only:
                self._look_at_capture(self._connection)
        except DStreamError as error:
            self._telemetry.debug("mssql.health_unknown", cause=error.message)
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self, name: str, read: Callable[[], T]) -> T | None:
        """The answer; None without the permission, which is then not asked for again."""
        if name in self._denied:
            return None
        answer = facts.attempt(read)
        if isinstance(answer, Denied):
            self._denied.add(name)
            return None
        return answer

    def _look_at_checkpoint(self, connection: HealthConnection, where: Platform) -> None:
        state = load_state(self.stored)
        retention_s = self._ask("retention", lambda: facts.retention_s(connection.rows, where))
        if state is None or retention_s is None:
            return
        loss = TimeToLoss(retention_s, facts.unread_s(connection.rows, state.position.next_lsn))
        if self._stopped.is_set():
            return
        self._telemetry.gauge("time_to_loss_seconds", max(0.0, loss.left_s))
        if loss.is_short and not self._is_short:
            self._telemetry.warning(
                "mssql.time_to_loss",
                left=checks.span(loss.left_s),
                oldest_unread=checks.span(loss.unread_s or 0),
                retention=checks.span(loss.retention_s),
                hint=checks.keep_longer(2 * loss.retention_s, where),
            )
        if self._is_short and not loss.is_short:
            self._telemetry.info("mssql.time_to_loss_recovered", left=checks.span(loss.left_s))
        self._is_short = loss.is_short

    def _look_at_capture(self, connection: HealthConnection) -> None:
        latency_s = self._ask("latency", lambda: facts.latency_s(connection.rows))
        errors = self._ask("errors", lambda: facts.capture_errors(connection.rows))
        if self._stopped.is_set():
            return
        if latency_s is not None:
            self._telemetry.gauge("capture_latency_seconds", latency_s)
        if errors is None:
            return
        self._telemetry.gauge("capture_errors", len(errors))
        if errors and errors[-1].at != self._last_error:
            last = errors[-1]
            self._last_error = last.at
            self._telemetry.warning(
                "mssql.capture_error", number=last.number, reason=last.message, at=last.at.isoformat(" ", "seconds")
            )
