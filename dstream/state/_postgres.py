"""Stores checkpoints in PostgreSQL: a row per task, with a fence that each new holder raises.

A lease ends by the clock of the server. What keeps a late writer out is not the time but the fence: it is compared in
the statement that changes the row, which PostgreSQL evaluates again after waiting for another transaction ("Read
Committed Isolation Level"). A connection is used by one thread at a time; the lease has its own, so that a slow write
does not delay its renewal.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from dstream.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError
from dstream.state._document import StoredState, decode_state, encode_state, file_name, stored_hint
from dstream.state._history import HistoryPace, decoded, entry_name
from dstream.state._holder import TaskLockHolder, decode_holder, locked
from dstream.state._lease import RenewedLease, lost
from dstream.state._store import Lease

try:
    import psycopg
except ImportError:
    raise ConfigError(
        "state.not_installed",
        'the state backend "postgres" needs a package that is not installed',
        hint="Install it: pip install 'dstream-cli[postgres]'",
    ) from None

_SETTINGS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "application_name": "dstream",
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c synchronous_commit=on",
}
"""A connection that is dead must not delay a run; an acknowledged checkpoint must be on disk."""
_CREATE: LiteralString = """
SELECT pg_advisory_xact_lock(hashtext('dstream_state'));
CREATE TABLE IF NOT EXISTS dstream_state (
  stack text NOT NULL, task text NOT NULL, fence bigint NOT NULL, holder text NOT NULL, expires timestamptz NOT NULL,
  document bytea, PRIMARY KEY (stack, task));
CREATE TABLE IF NOT EXISTS dstream_state_history (
  stack text NOT NULL, task text NOT NULL, entry text NOT NULL, document bytea NOT NULL,
  PRIMARY KEY (stack, task, entry))
"""
_ACQUIRE: LiteralString = """
INSERT INTO dstream_state AS s (stack, task, fence, holder, expires)
VALUES (%(stack)s, %(task)s, 1, %(holder)s, clock_timestamp() + make_interval(secs => %(lease_s)s))
ON CONFLICT (stack, task) DO UPDATE SET fence = s.fence + 1, holder = excluded.holder, expires = excluded.expires
WHERE s.expires <= clock_timestamp()
RETURNING fence
"""
_RENEW: LiteralString = """
UPDATE dstream_state SET expires = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE stack = %(stack)s AND task = %(task)s AND fence = %(fence)s
"""
_RELEASE: LiteralString = """
UPDATE dstream_state SET expires = clock_timestamp()
WHERE stack = %(stack)s AND task = %(task)s AND fence = %(fence)s
"""
_HOLDER: LiteralString = """
SELECT holder FROM dstream_state WHERE stack = %(stack)s AND task = %(task)s AND expires > clock_timestamp()
"""
_LOAD: LiteralString = "SELECT document FROM dstream_state WHERE stack = %(stack)s AND task = %(task)s"
_SAVE: LiteralString = """
UPDATE dstream_state SET document = %(document)s
WHERE stack = %(stack)s AND task = %(task)s AND fence = %(fence)s
"""
_FENCED: LiteralString = """
SELECT FROM dstream_state WHERE stack = %(stack)s AND task = %(task)s AND fence = %(fence)s FOR UPDATE
"""
_KEEP: LiteralString = """
INSERT INTO dstream_state_history (stack, task, entry, document)
VALUES (%(stack)s, %(task)s, %(entry)s, %(document)s) ON CONFLICT DO NOTHING
"""
_PRUNE: LiteralString = """
DELETE FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s AND entry NOT IN (
  SELECT entry FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s
  ORDER BY entry COLLATE "C" DESC LIMIT %(most)s)
"""
_HISTORY: LiteralString = "SELECT document FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s"
_TASKS: LiteralString = "SELECT task FROM dstream_state WHERE stack = %(stack)s AND document IS NOT NULL"


class PostgresStore:
    """A task's row in the table `dstream_state`, and its kept checkpoints in `dstream_state_history`. Both are created
    when a lease is first taken."""

    def __init__(self, url: str, stack: str, task: str, history: int, lease_s: float) -> None:
        self._database = _Database(url)
        self._leasing = _Database(url)
        self._task = task
        self._lease_s = lease_s
        self._key = {"stack": stack, "task": task}
        self._pace = HistoryPace(history)
        self.place = f"{self._database.place} ({file_name(stack)}/{file_name(task)})"

    def load(self) -> StoredState | None:
        rows = self._database.rows(_LOAD, self._key)
        if not rows or rows[0][0] is None:
            return None
        return decode_state(rows[0][0], source=self.place, hint=stored_hint(self._task))

    def save(self, state: StoredState, lease: Lease) -> None:
        is_kept = self._pace.is_due
        self._write(lease, _SAVE, state, is_kept=is_kept)
        if is_kept:
            self._pace.kept()

    def keep(self, state: StoredState, lease: Lease) -> None:
        self._write(lease, _FENCED, state, is_kept=True)

    def history(self) -> Sequence[StoredState]:
        return decoded(row[0] for row in self._database.rows(_HISTORY, self._key))

    def remove(self, lease: Lease) -> bool:
        rows = self._database.rows(_LOAD, self._key)
        if not rows or rows[0][0] is None:
            return False
        self._write(lease, _SAVE, None, is_kept=False)
        return True

    def lease(self, since: datetime, command: str = "run") -> Lease:
        return RenewedLease(self, self._task, self._lease_s, since, command)

    def close(self) -> None:
        self._database.close()
        self._leasing.close()

    def acquire(self, holder: TaskLockHolder) -> str:
        note = msgspec.json.encode(holder).decode()
        wanted = {**self._key, "holder": note, "lease_s": self._lease_s}
        rows = self._leasing.rows(_ACQUIRE, wanted, create=True)
        if rows:
            return str(rows[0][0])
        raise locked(self._task, self.holder(), "the lease is released when its run ends, or expires")

    def renew(self, fence: str) -> bool:
        return self._leasing.count(_RENEW, {**self._key, "fence": int(fence), "lease_s": self._lease_s}) == 1

    def release(self, fence: str) -> None:
        self._leasing.count(_RELEASE, {**self._key, "fence": int(fence)})

    def holder(self) -> TaskLockHolder | None:
        rows = self._leasing.rows(_HOLDER, self._key)
        return decode_holder(rows[0][0]) if rows else None

    def _write(self, lease: Lease, statement: LiteralString, state: StoredState | None, *, is_kept: bool) -> None:
        """Change the row if the fence is still that of the lease, and keep the state, in one transaction. Raises
        `state.lease_lost`."""
        values = {**self._key, "fence": int(lease.fence), "document": state and encode_state(state)}
        with self._database.transaction() as cursor:
            cursor.execute(statement, values)
            if cursor.rowcount != 1:
                raise lost(self._task, self.holder())
            if is_kept and state is not None:
                cursor.execute(_KEEP, {**values, "entry": entry_name(state)})
                cursor.execute(_PRUNE, {**self._key, "most": self._pace.most})


def stored_in_postgres(url: str, stack: str) -> set[str]:
    """Return the names of the tasks that have a checkpoint."""
    with contextlib.closing(_Database(url)) as database:
        return {row[0] for row in database.rows(_TASKS, {"stack": stack})}


class _Database:
    """A connection that is opened when it is needed, and again after a failure."""

    def __init__(self, url: str) -> None:
        try:
            self._settings: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error:
            raise ConfigError(
                "state.bad_url",
                "the state url is not a connection string of PostgreSQL",
                hint="Use e.g. postgresql://USER@HOST/DATABASE?sslmode=verify-full.",
            ) from None
        host = self._settings.get("host") or "localhost"
        self.place = f"postgresql://{host}/{self._settings.get('dbname') or ''}"
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def rows(self, statement: LiteralString, values: dict[str, Any], *, create: bool = False) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; none if the tables do not exist. `create`: create them first."""
        try:
            with self.transaction() as cursor:
                if create and not _has_tables(cursor):
                    cursor.execute(_CREATE)
                cursor.execute(statement, values)
                return cursor.fetchall()
        except _NoTables:
            return []

    def count(self, statement: LiteralString, values: dict[str, Any]) -> int:
        """Return how many rows a statement changed."""
        with self.transaction() as cursor:
            return cursor.execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Cursor[Any]]:
        """Commit what the body executes; raise DStream's errors for those of the driver."""
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(**(_SETTINGS | self._settings))
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    yield cursor
            except psycopg.errors.UndefinedTable:
                raise _NoTables from None
            except psycopg.Error as error:
                self.close()
                raise self._fault(error) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fault(self, error: psycopg.Error) -> DStreamError:
        state, text = error.sqlstate or "", str(error)
        if state.startswith("28") or state == "42501" or "authentication failed" in text:
            return AuthError(
                "state.denied",
                f"{self.place} denies access to the state{f' ({state})' if state else ''}",
                hint="Check the user and the password. The user must own the tables dstream_state and "
                "dstream_state_history, or be allowed to create them.",
            )
        if state == "3D000" or ("database" in text and "does not exist" in text):
            return ConfigError(
                "state.no_backend",
                f"there is no database {self.place}",
                hint="Create it: createdb, or CREATE DATABASE.",
            )
        if isinstance(error, psycopg.OperationalError):
            why = f"SQLSTATE {state}" if state else type(error).__name__
            return UnreachableError(
                "state.unavailable",
                f"the state backend {self.place} cannot be used: {why}",
                hint="Nothing is lost: the last stored checkpoint is kept. Check the address and the server.",
            )
        primary = error.diag.message_primary or type(error).__name__
        return SystemFault("state.write_failed", f"cannot use the state in {self.place}: {primary} (SQLSTATE {state})")


class _NoTables(Exception):
    """Nothing has been stored yet."""


def _has_tables(cursor: psycopg.Cursor[Any]) -> bool:
    row = cursor.execute("SELECT to_regclass('dstream_state_history')").fetchone()
    return row is not None and row[0] is not None
