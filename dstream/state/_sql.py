"""Stores checkpoints in a database: a row per task, with a fence that each new holder raises.

A lease ends by the clock of the server. What keeps a late writer out is not the time but the fence: it is compared in
the statement that changes a row. The first fence of a row is a time, so that it is higher than those of a row that was
deleted, or of a table that was dropped. Every statement is a transaction of its own, so a host that is paused, or whose
machine is gone, never leaves a row locked that its successor waits for. A connection is used by one thread at a time;
the lease has its own, so that a slow write does not delay its renewal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec

from dstream.errors import ConfigError, DStreamError, LockedError
from dstream.state._document import StoredState, decode_state, encode_state, file_name, stored_hint
from dstream.state._history import HistoryPace, decoded, entry_name
from dstream.state._holder import TaskLockHolder, decode_holder, locked
from dstream.state._lease import RenewedLease, lost
from dstream.state._store import Lease


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server's SQL does not share with others. Parameters are written as `%(name)s`."""

    create: Sequence[str]
    """Create the tables, unless they exist: that of the leases last, so that it is a sign of both."""
    acquire: Sequence[str]
    """Take the lease if it has expired; the last statement returns the fence."""
    now: str
    """The server's clock."""
    later: str
    """The end of a lease that starts now."""
    prune: str
    """Delete all kept checkpoints but the newest ones."""

    @property
    def renew(self) -> str:
        return f"UPDATE dstream_state SET expires = {self.later} {_FENCED}"

    @property
    def release(self) -> str:
        return f"UPDATE dstream_state SET expires = {self.now} {_FENCED}"

    @property
    def holder(self) -> str:
        return f"SELECT holder FROM dstream_state {_KEY} AND expires > {self.now}"


_KEY = "WHERE stack = %(stack)s AND task = %(task)s"
_FENCED = f"{_KEY} AND fence = %(fence)s"
_LOAD = f"SELECT document FROM dstream_state {_KEY}"
_SAVE = f"UPDATE dstream_state SET document = %(document)s {_FENCED}"
_DELETE = f"UPDATE dstream_state SET document = NULL {_FENCED}"
_CONFIRM = f"SELECT fence FROM dstream_state {_FENCED}"
_KEEP = f"""
INSERT INTO dstream_state_history (stack, task, entry, document)
SELECT stack, task, %(entry)s, %(document)s FROM dstream_state
{_FENCED} AND NOT EXISTS (SELECT 1 FROM dstream_state_history {_KEY} AND entry = %(entry)s)
"""
_HISTORY = f"SELECT document FROM dstream_state_history {_KEY}"
_TASKS = "SELECT task FROM dstream_state WHERE stack = %(stack)s AND document IS NOT NULL"


class SqlCursor(Protocol):
    """Executes statements with named parameters."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, values: Mapping[str, Any]) -> object: ...

    def fetchall(self) -> Sequence[Any]: ...


class SqlDatabase(Protocol):
    """A connection that is opened when it is needed, and again after a failure."""

    @property
    def place(self) -> str:
        """For messages; without credentials."""

    @property
    def dialect(self) -> Dialect: ...

    def cursor(self) -> AbstractContextManager[SqlCursor]:
        """A cursor in autocommit mode. Raises NoTables, and DStream's errors for those of the driver."""

    def close(self) -> None: ...


class NoTables(Exception):
    """Nothing has been stored yet."""


class SqlStore:
    """A task's row in the table `dstream_state`, and its kept checkpoints in `dstream_state_history`. Both are created
    when a lease is first taken. Names are quoted, so that no collation makes two of them equal."""

    def __init__(self, connect: Callable[[], SqlDatabase], stack: str, task: str, history: int, lease_s: float) -> None:
        self._database = connect()
        self._leasing = connect()
        self._dialect = self._database.dialect
        self._task = task
        self._lease_s = lease_s
        self._key = {"stack": file_name(stack), "task": file_name(task)}
        self._pace = HistoryPace(history)
        self.place = f"{self._database.place} ({self._key['stack']}/{self._key['task']})"

    def load(self) -> StoredState | None:
        document = self._document()
        return None if document is None else decode_state(document, source=self.place, hint=stored_hint(self._task))

    def save(self, state: StoredState, lease: Lease) -> None:
        self._write(lease, _SAVE, encode_state(state))
        if self._pace.is_due:
            with contextlib.suppress(DStreamError):  # no row depends on it
                self._keep(state, lease)
            self._pace.kept()

    def keep(self, state: StoredState, lease: Lease) -> None:
        with self._cursor(self._database) as cursor:
            cursor.execute(_CONFIRM, {**self._key, "fence": int(lease.fence)})
            if not cursor.fetchall():
                raise lost(self._task, self.holder())
        self._keep(state, lease)

    def history(self) -> Sequence[StoredState]:
        return decoded(bytes(row[0]) for row in self._rows(self._database, _HISTORY))

    def remove(self, lease: Lease) -> bool:
        if self._document() is None:
            return False
        self._write(lease, _DELETE)
        return True

    def lease(self, since: datetime, command: str = "run") -> Lease:
        return RenewedLease(self, self._task, self._lease_s, since, command)

    def close(self) -> None:
        self._database.close()
        self._leasing.close()

    def acquire(self, holder: TaskLockHolder) -> str:
        """A standby asks every second, so this only reads while another host has the lease."""
        present = self.holder()
        if present is not None:
            raise self._locked(present)
        values = {**self._key, "holder": msgspec.json.encode(holder).decode(), "lease_s": int(self._lease_s)}
        try:
            rows = self._run(self._dialect.acquire, values)
        except NoTables:
            self._run(self._dialect.create, {})
            rows = self._run(self._dialect.acquire, values)
        if rows:
            return str(rows[0][0])
        raise self._locked(self.holder())

    def renew(self, fence: str) -> bool:
        return self._changed(self._dialect.renew, fence)

    def release(self, fence: str) -> None:
        self._changed(self._dialect.release, fence)

    def holder(self) -> TaskLockHolder | None:
        rows = self._rows(self._leasing, self._dialect.holder)
        return decode_holder(rows[0][0]) if rows else None

    def _locked(self, holder: TaskLockHolder | None) -> LockedError:
        return locked(self._task, holder, "the lease is released when its run ends, or expires")

    def _document(self) -> bytes | None:
        rows = self._rows(self._database, _LOAD)
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def _run(self, statements: Sequence[str], values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows of the last statement, if it has any. Raises NoTables."""
        with self._leasing.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, values)
            return cursor.fetchall() if values else []

    def _rows(self, database: SqlDatabase, statement: str) -> Sequence[Any]:
        try:
            with database.cursor() as cursor:
                cursor.execute(statement, self._key)
                return cursor.fetchall()
        except NoTables:
            return []

    def _changed(self, statement: str, fence: str) -> bool:
        values = {**self._key, "fence": int(fence), "lease_s": int(self._lease_s)}
        with self._cursor(self._leasing) as cursor:
            cursor.execute(statement, values)
            return cursor.rowcount == 1

    def _write(self, lease: Lease, statement: str, document: bytes | None = None) -> None:
        """Change the row if the fence is still that of the lease. Raises `state.lease_lost`."""
        with self._cursor(self._database) as cursor:
            cursor.execute(statement, {**self._key, "fence": int(lease.fence), "document": document})
            if cursor.rowcount != 1:
                raise lost(self._task, self.holder())

    def _keep(self, state: StoredState, lease: Lease) -> None:
        entry = {"fence": int(lease.fence), "entry": entry_name(state), "document": encode_state(state)}
        with self._cursor(self._database) as cursor:
            cursor.execute(_KEEP, {**self._key, **entry})
            cursor.execute(self._dialect.prune, {**self._key, "most": self._pace.most})

    @contextmanager
    def _cursor(self, database: SqlDatabase) -> Iterator[SqlCursor]:
        """A cursor for what needs the tables. Raises ConfigError `state.no_backend` without them."""
        try:
            with database.cursor() as cursor:
                yield cursor
        except NoTables:
            raise ConfigError(
                "state.no_backend",
                f"the tables dstream_state and dstream_state_history in {database.place} are gone; the task had them "
                "when it started",
                hint="Restore them from a backup. Otherwise the next run creates new ones and starts from scratch.",
            ) from None


def stored_in_database(database: SqlDatabase, stack: str) -> set[str]:
    """Return the names of the tasks that have a checkpoint, and close the connection."""
    with contextlib.closing(database):
        try:
            with database.cursor() as cursor:
                cursor.execute(_TASKS, {"stack": file_name(stack)})
                return {unquote(row[0]) for row in cursor.fetchall()}
        except NoTables:
            return set()
