"""The tables of checkpoints in PostgreSQL.

An UPDATE that waited for another transaction evaluates its condition again ("Read Committed Isolation Level"), so a
fence that was raised meanwhile is seen.

The server's timeouts do not help if it is gone after it has received a statement, or if a load balancer has forgotten
the connection. TCP does not notice either: nothing is left to be acknowledged. So the wait for an answer ends here.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dstream.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError
from dstream.loopback import is_loopback
from dstream.state._sql import Dialect, NoTables, SqlCursor
from dstream.state._transport import check_transport

try:
    import psycopg
except ImportError:
    raise ConfigError(
        "state.not_installed",
        'the state backend "postgres" needs a package that is not installed',
        hint="Install it: pip install 'psycopg[binary]'",
    ) from None

_SETTINGS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "application_name": "dstream",
}
_OPTIONS = "-c statement_timeout=10s -c lock_timeout=5s -c synchronous_commit=on"
"""A connection that is dead must not delay a run; an acknowledged checkpoint must be on disk."""
_ANSWER_S = 15.0
"""Longer than the server's own limits."""
_LATER = "clock_timestamp() + make_interval(secs => %(lease_s)s)"
_DIALECT = Dialect(
    create=(
        # One transaction, because it is one message: two hosts cannot create a table at the same time.
        """
        SELECT pg_advisory_xact_lock(hashtext('dstream_state'));
        CREATE TABLE IF NOT EXISTS dstream_state (
          stack text NOT NULL, task text NOT NULL, fence bigint NOT NULL, holder text NOT NULL,
          expires timestamptz NOT NULL, document bytea, PRIMARY KEY (stack, task));
        CREATE TABLE IF NOT EXISTS dstream_state_history (
          stack text NOT NULL, task text NOT NULL, entry text NOT NULL, document bytea NOT NULL,
          PRIMARY KEY (stack, task, entry))
        """,
    ),
    acquire=(
        f"""
        INSERT INTO dstream_state AS s (stack, task, fence, holder, expires)
        VALUES (%(stack)s, %(task)s, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, %(holder)s, {_LATER})
        ON CONFLICT (stack, task) DO UPDATE
        SET fence = s.fence + 1, holder = excluded.holder, expires = excluded.expires
        WHERE s.expires <= clock_timestamp()
        RETURNING fence
        """,
    ),
    now="clock_timestamp()",
    later=_LATER,
    prune="""
        DELETE FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s AND entry NOT IN (
          SELECT entry FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s
          ORDER BY entry COLLATE "C" DESC LIMIT %(most)s)
    """,
)


class PostgresDatabase:
    """A connection to PostgreSQL. `url`: a connection string of libpq. Raises ConfigError `state.bad_url` and
    `state.plaintext`."""

    dialect = _DIALECT

    def __init__(self, url: str, *, allow_plaintext: bool) -> None:
        try:
            self._settings: dict[str, Any] = dict(psycopg.conninfo.conninfo_to_dict(url))
        except psycopg.Error:
            raise ConfigError(
                "state.bad_url",
                "the state url is not a connection string of PostgreSQL",
                hint="Use e.g. postgresql://USER@HOST/DATABASE?sslmode=verify-full.",
            ) from None
        host = self._settings.get("host") or "localhost"
        self.place = f"postgresql://{host}/{self._settings.get('dbname') or ''}"
        check_transport(
            self.place,
            _unprotected_because(self._settings, os.environ),
            "Set sslmode=verify-full, and sslrootcert=system if a public authority signed the server's certificate.",
            allow_plaintext=allow_plaintext,
        )
        options = f"{_OPTIONS} {self._settings.get('options') or os.environ.get('PGOPTIONS', '')}".rstrip()
        self._settings = {**_SETTINGS, **self._settings, "options": options}
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def cursor(self) -> Iterator[SqlCursor]:
        with self._lock:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(**self._settings, autocommit=True)
                with _limited(self._connection), self._connection.cursor() as cursor:
                    yield _PostgresCursor(cursor)
            except psycopg.errors.UndefinedTable:
                raise NoTables from None
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
                hint="Check the user and the password. The user must be allowed to create the tables dstream_state and "
                "dstream_state_history, or to read and write them if they exist.",
            )
        if state == "3D000" or ("database" in text and "does not exist" in text):
            return ConfigError(
                "state.no_backend", f"there is no database {self.place}", hint="Create it with CREATE DATABASE."
            )
        if isinstance(error, psycopg.OperationalError):
            why = " ".join(text.split()) or type(error).__name__
            return UnreachableError(
                "state.unavailable",
                f"the state backend {self.place} cannot be used: {why}",
                hint="Nothing is lost: the last stored checkpoint is kept. Check the address and the server.",
            )
        primary = error.diag.message_primary or type(error).__name__
        return SystemFault("state.write_failed", f"cannot use the state in {self.place}: {primary} (SQLSTATE {state})")


def _unprotected_because(settings: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Return what leaves the connection unprotected; "": nothing. Only the modes verify-ca and verify-full check the
    certificate, and `prefer` is the default (PostgreSQL: "SSL Support", "Protection Provided in Different Modes")."""

    def setting(keyword: str) -> str:
        return str(settings.get(keyword) or environment.get(f"PG{keyword.upper()}") or "")

    hosts = (setting("hostaddr") or setting("host")).split(",")
    is_local = not setting("service") and all(not each or each[0] in "/@" or is_loopback(each) for each in hosts)
    mode = setting("sslmode") or "prefer"
    return "" if is_local or mode in ("verify-ca", "verify-full") else f"sslmode is {mode}"


@contextmanager
def _limited(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Cut the connection if the block takes longer than `_ANSWER_S`: its statement then fails."""
    with socket.socket(fileno=os.dup(connection.fileno())) as own:

        def cut() -> None:
            with suppress(OSError):  # closed meanwhile
                own.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_ANSWER_S, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _PostgresCursor:
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, statement: str, values: Mapping[str, Any]) -> object:
        return self._cursor.execute(statement.encode(), values or None)

    def fetchall(self) -> Sequence[Any]:
        return self._cursor.fetchall()
