"""The tables of checkpoints in SQL Server.

An UPDATE takes an update lock before it evaluates its condition ("Transaction locking and row versioning guide"), so a
fence that was raised meanwhile is seen. The tables need no CDC, and can be in any database.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from dstream.errors import AuthError, ConfigError, DStreamError, SystemFault, UnreachableError
from dstream.odbc import TRANSIENT_ERRORS, find_driver, load_pyodbc, numbers_of, plain_message, unprotected_because
from dstream.state._sql import Dialect, NoTables, SqlCursor
from dstream.state._transport import check_transport

try:
    load_pyodbc()
    import pyodbc
except (ImportError, SystemFault):
    raise ConfigError(
        "state.not_installed",
        'the state backend "mssql" needs packages that are not installed',
        hint="Install them: pip install mssql-python-odbc pyodbc; on Debian and Ubuntu also: apt-get install libodbc2",
    ) from None

_LOGIN_TIMEOUT_S = 5
_QUERY_TIMEOUT_S = 10
_SETTINGS = "SET LOCK_TIMEOUT 5000"
_NAMED = re.compile(r"%\((\w+)\)s")
_NO_TABLE = "42S02"
_NO_DATABASE = 4060
_NOT_ALLOWED = frozenset({229, 262})
_AT_THE_SAME_TIME = frozenset({2714, 2627})
"""An object or row exists that did not a moment ago: another host created it."""
_TRANSIENT_STATES = ("08", "HYT", "40")
"""SQLSTATE prefixes: a lost connection, a timeout, a deadlock."""
_LATER = "DATEADD(second, %(lease_s)s, SYSUTCDATETIME())"
_NAME = "varchar({}) COLLATE Latin1_General_BIN2 NOT NULL"
_DIALECT = Dialect(
    create=(
        f"""
        IF OBJECT_ID('dstream_state_history') IS NULL CREATE TABLE dstream_state_history (
          stack {_NAME.format(200)}, task {_NAME.format(450)}, entry {_NAME.format(200)},
          document varbinary(max) NOT NULL, PRIMARY KEY (stack, task, entry))
        """,
        f"""
        IF OBJECT_ID('dstream_state') IS NULL CREATE TABLE dstream_state (
          stack {_NAME.format(200)}, task {_NAME.format(450)}, fence bigint NOT NULL, holder nvarchar(2000) NOT NULL,
          expires datetime2(7) NOT NULL, document varbinary(max) NULL, PRIMARY KEY (stack, task))
        """,
    ),
    acquire=(
        """
        INSERT INTO dstream_state (stack, task, fence, holder, expires)
        SELECT %(stack)s, %(task)s, CAST(DATEDIFF(second, '20200101', SYSUTCDATETIME()) AS bigint) * 1000
          + DATEPART(millisecond, SYSUTCDATETIME()), N'', SYSUTCDATETIME()
        WHERE NOT EXISTS (SELECT 1 FROM dstream_state WHERE stack = %(stack)s AND task = %(task)s)
        """,
        f"""
        UPDATE dstream_state SET fence = fence + 1, holder = %(holder)s, expires = {_LATER} OUTPUT inserted.fence
        WHERE stack = %(stack)s AND task = %(task)s AND expires <= SYSUTCDATETIME()
        """,
    ),
    now="SYSUTCDATETIME()",
    later=_LATER,
    prune="""
        DELETE FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s AND entry NOT IN (
          SELECT TOP (%(most)s) entry FROM dstream_state_history WHERE stack = %(stack)s AND task = %(task)s
          ORDER BY entry DESC)
    """,
)


class MssqlDatabase:
    """A connection to SQL Server. `url`: an ODBC connection string, without or with a driver. Raises ConfigError
    `state.bad_url` and `state.plaintext`."""

    dialect = _DIALECT

    def __init__(self, url: str, *, allow_plaintext: bool) -> None:
        settings = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in url.split(";"))}
        if not settings.get("server") and not settings.get("dsn"):
            raise ConfigError(
                "state.bad_url",
                "the state url is not an ODBC connection string of SQL Server",
                hint="Use e.g. Server=HOST;Database=DATABASE;UID=USER;PWD=PASSWORD;Encrypt=yes.",
            )
        has_driver = settings.keys() & {"driver", "dsn"}
        self._url = url if has_driver else f"DRIVER={find_driver()};{url}"
        self.place = f"SQL Server {settings.get('server') or settings['dsn']}/{settings.get('database', '')}"
        check_transport(
            self.place,
            unprotected_because(
                [settings.get("server", "")], settings.get("encrypt", ""), settings.get("trustservercertificate", "")
            ),
            "Remove it; to trust a private authority, install its certificate on this machine.",
            allow_plaintext=allow_plaintext,
        )
        self._lock = threading.Lock()
        self._connection: pyodbc.Connection | None = None
        self._has_connected = False

    @contextmanager
    def cursor(self) -> Iterator[SqlCursor]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = pyodbc.connect(self._url, timeout=_LOGIN_TIMEOUT_S, autocommit=True)
                    self._connection.timeout = _QUERY_TIMEOUT_S
                    self._connection.execute(_SETTINGS).close()
                    self._has_connected = True
                with closing(self._connection.cursor()) as cursor:
                    yield _MssqlCursor(cursor)
            except pyodbc.Error as error:
                self.close()
                if error.args and error.args[0] == _NO_TABLE:
                    raise NoTables from None
                raise self._fault(error) from None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except pyodbc.Error:  # it is broken already
                pass

    def _fault(self, error: pyodbc.Error) -> DStreamError:
        state = str(error.args[0]) if error.args else ""
        text = str(error.args[1]) if len(error.args) > 1 else ""
        numbers = set(numbers_of(text))
        transient = TRANSIENT_ERRORS | _AT_THE_SAME_TIME
        if self._has_connected:
            transient |= {_NO_DATABASE}  # also while the database fails over or starts
        if numbers & transient or state.startswith(_TRANSIENT_STATES):
            return UnreachableError(
                "state.unavailable",
                f"the state backend {self.place} cannot be used: {plain_message(text)} (SQLSTATE {state})",
                hint="Nothing is lost: the last stored checkpoint is kept. Check the address and the server.",
            )
        if _NO_DATABASE in numbers:
            return ConfigError(
                "state.no_backend", f"there is no database {self.place}", hint="Create it with CREATE DATABASE."
            )
        if state == "28000" or numbers & _NOT_ALLOWED:
            return AuthError(
                "state.denied",
                f"{self.place} denies access to the state ({state})",
                hint="Check the login. It must be allowed to create the tables dstream_state and "
                "dstream_state_history, or to read and write them if they exist.",
            )
        return SystemFault(
            "state.write_failed", f"cannot use the state in {self.place}: {plain_message(text)} (SQLSTATE {state})"
        )


class _MssqlCursor:
    """Passes named parameters by position, as ODBC wants them."""

    def __init__(self, cursor: pyodbc.Cursor) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def execute(self, statement: str, values: Mapping[str, Any]) -> object:
        given = [values[name] for name in _NAMED.findall(statement)]
        return self._cursor.execute(_NAMED.sub("?", statement), given)

    def fetchall(self) -> Sequence[Any]:
        return list(self._cursor.fetchall())
