"""When captured changes become visible: immediately, after a delay, or not while the capture job is stopped. Also adds
the idle rows of the time mapping. One thread serves all databases; the engine starts and joins it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.cdc import cleanup, lsn
from dstream_sandbox.sqlserver.engine.cdc.capture import add_mapping
from dstream_sandbox.sqlserver.engine.cdc.catalog import refilter
from dstream_sandbox.sqlserver.engine.cdc.instances import system_table
from dstream_sandbox.sqlserver.values import TICKS_PER_SECOND

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database

_IDLE_TICKS = 300 * TICKS_PER_SECOND
_CLEANUP_TICKS = 3600 * TICKS_PER_SECOND


class CaptureError(NamedTuple):
    """A row of sys.dm_cdc_errors. `at`: in ticks."""

    at: int
    number: int
    message: str


class CaptureJob:
    """`delay_s` is the delay until a change reaches its change table. The database records that a job is stopped."""

    def __init__(self, databases: Callable[[], list[Database]], delay_s: float) -> None:
        self._databases, self.delay_s = databases, delay_s
        self.last_scan = clock.now_ticks()
        self._stopped: set[str] = set()
        self.errors: dict[str, list[CaptureError]] = {}
        """The errors of a database's log scans since the server was started, oldest first."""
        self._last_cleanup = clock.now_ticks()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        for database in self._databases():
            self.restore(database)
        self._thread.start()

    def restore(self, database: Database) -> None:
        """Continue as the database's own record says, after a start or a RESTORE."""
        (running,) = database.admin.execute("SELECT count(*) = 0 FROM meta WHERE kind = 'capture_stopped'").fetchone()
        self._stopped.discard(database.name)
        if not running:
            self._stopped.add(database.name)
        elif self.delay_s <= 0:
            self._set_limit(database, None)

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def is_running(self, database: Database) -> bool:
        return database.name not in self._stopped

    def fail(self, database: Database, number: int, message: str) -> None:
        """Record an error of a log scan. The next scan repeats it, so no changes are lost."""
        self.errors.setdefault(database.name, []).append(CaptureError(clock.now_ticks(), number, message))

    def watch(self, database: Database) -> None:
        """CDC was enabled. With a delay, nothing is visible until the next scan."""
        if self.delay_s > 0:
            self._set_limit(database, lsn.from_counter(database.log.current()))

    def set_running(self, database: Database, running: bool) -> None:
        """Start or stop the capture job. While stopped, max_lsn does not move; once started, the job catches up."""
        with database.writing() as connection:
            connection.execute("DELETE FROM meta WHERE kind = 'capture_stopped'")
            if not running:
                connection.execute("INSERT INTO meta VALUES ('capture_stopped', 1, '')")
        if running:
            self._stopped.discard(database.name)
            self.publish(database)
            if self.delay_s <= 0:
                self._set_limit(database, None)
            return
        if database.capture_limit is None:
            self._set_limit(database, lsn.from_counter(database.log.current()))
        self._stopped.add(database.name)

    def publish(self, database: Database) -> None:
        """Make everything committed so far visible."""
        if database.capture_limit is not None:
            self._set_limit(database, lsn.from_counter(database.log.current()))
        self.last_scan = clock.now_ticks()

    def _set_limit(self, database: Database, limit: bytes | None) -> None:
        before = database.capture_limit
        with database.writing():
            database.capture_limit = limit
        if (before is None) != (limit is None):
            refilter(database)

    def _run(self) -> None:
        """With a delay, publish what was committed by one tick once the delay has passed."""
        waiting: dict[str, list[tuple[int, bytes]]] = {}
        period = min(max(self.delay_s / 4, 0.02), 1.0) if self.delay_s > 0 else 1.0
        while not self._end.wait(period):
            now = clock.now_ticks()
            for database in self._databases():
                with contextlib.suppress(sqlite3.ProgrammingError):  # dropped and closed concurrently
                    if database.options.cdc_enabled and self.is_running(database):
                        self._tick(database, now, waiting.setdefault(database.name, []))
            if now - self._last_cleanup > _CLEANUP_TICKS:
                self._last_cleanup = now
                for database in self._databases():
                    cleanup.run_retention(database, now)

    def _tick(self, database: Database, now: int, waiting: list[tuple[int, bytes]]) -> None:
        self._idle_row(database, now)
        self.last_scan = now
        if self.delay_s <= 0:
            return
        current = lsn.from_counter(database.log.current())
        if not waiting or waiting[-1][1] != current:
            waiting.append((now, current))
        due = now - int(self.delay_s * TICKS_PER_SECOND)
        limit = None
        while waiting and waiting[0][0] <= due:
            limit = waiting.pop(0)[1]
        if limit is not None and limit != database.capture_limit:
            self._set_limit(database, limit)

    def _idle_row(self, database: Database, now: int) -> None:
        """Add an idle row about every five minutes without a transaction (seen as rows with tran_id 0x00:
        airbytehq/airbyte#37772)."""
        with database.commit_lock:
            if not database.options.cdc_enabled:
                return  # disabled in the meantime
            mapping = system_table(database, "lsn_time_mapping")
            row = database.admin.execute(f"SELECT c3 FROM t{mapping.id} ORDER BY c1 DESC LIMIT 1").fetchone()
            if row is not None and now - row[0] < _IDLE_TICKS:
                return
            with database.writing() as connection:
                position = lsn.from_counter(database.log.take())
                add_mapping(connection, database, position, now, now, b"\0", position)
