"""The seam between the wire and the engine: the calls that a session accepts, and the events it answers with.

The wire (`tds/`) turns packets into these calls and these events into tokens; the engine (`engine/`) knows nothing
about packets. One thread serves one connection, so calls of one Session never overlap; only `cancel` comes from another
thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dstream_sandbox.sqlserver.values import Row, SqlType, Value


@dataclass(frozen=True, slots=True)
class Column:
    """A result column."""

    name: str
    type: SqlType
    nullable: bool = True
    identity: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """A result set starts; its `Rows` follow until `Done`."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of the current result set: a bounded number, so that the wire can stream them."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Done:
    """A statement ended. `count` is its row count, or None if SQL Server reports none (SET NOCOUNT ON, DDL, ...)."""

    count: int | None
    is_select: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """An error (severity above 10) or an informational message, with SQL Server's number and wording."""

    number: int
    severity: int
    state: int
    text: str
    procedure: str = ""
    line: int = 1


@dataclass(frozen=True, slots=True)
class ReturnStatus:
    """A procedure's return value."""

    value: int


@dataclass(frozen=True, slots=True)
class OutputValue:
    """The value of an OUTPUT parameter after the call."""

    name: str
    type: SqlType
    value: Value


@dataclass(frozen=True, slots=True)
class DatabaseChanged:
    """USE took effect, or the login selected its database."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TransactionChanged:
    """A transaction began, committed or rolled back. The wire notifies the driver with an ENVCHANGE."""

    kind: str  # "begin" | "commit" | "rollback"
    descriptor: int


Event = Columns | Rows | Done | Message | ReturnStatus | OutputValue | DatabaseChanged | TransactionChanged


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter as the wire received it. `name` includes its @, or is empty for a positional parameter."""

    name: str
    type: SqlType
    value: Value
    is_output: bool = False


class SqlError(Exception):
    """An error with SQL Server's number and wording: raised inside the engine, reported by sessions as `Message`."""

    def __init__(self, number: int, text: str, *, severity: int = 16, state: int = 1) -> None:
        super().__init__(text)
        self.number = number
        self.severity = severity
        self.state = state
        self.text = text


class Session(Protocol):
    """One login's session."""

    database: str
    spid: int

    def execute(
        self, sql: str, params: Sequence[Param] = (), *, declarations: str = "", in_procedure: bool = False
    ) -> Iterator[Event]:
        """Run a batch. With `params`, `declarations` declares them for sp_executesql: `@P1 int, @P2 nvarchar(4000)`.

        `in_procedure`: it runs inside sp_executesql or a similar procedure, so SET options and #tables end with it.

        Never raises SqlError: an error is a `Message`, and execution continues wherever SQL Server would continue.
        """

    def call(self, procedure: str, params: Sequence[Param]) -> Iterator[Event]:
        """Call a procedure (user, CDC or catalog) by name with EXEC semantics. Reports 2812 if it does not exist."""

    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]:
        """Return the first result set's columns without running anything; () if there is none. May raise SqlError."""

    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]:
        """Return the names and suggested types of undeclared parameters. May raise SqlError."""

    def bulk_insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterator[Row],
        *,
        types: Sequence[SqlType] = (),
        check_constraints: bool = False,
    ) -> int:
        """INSERT BULK: insert `rows` and return their count. `types` are the types of `rows`, by default the table's.

        May raise SqlError.
        """

    def begin(self, name: str = "", isolation: str | None = None) -> Iterator[Event]:
        """Begin a transaction (transaction manager request); `isolation` as in SET TRANSACTION ISOLATION LEVEL."""

    def commit(self, name: str = "") -> Iterator[Event]: ...
    def rollback(self, name: str = "") -> Iterator[Event]: ...
    def save(self, name: str) -> Iterator[Event]: ...

    @property
    def transaction_descriptor(self) -> int:
        """The open transaction's descriptor; 0 if no transaction is open."""

    def cancel(self) -> None:
        """ATTENTION, from any thread. What is running stops soon, without its own error message."""

    def reset(self) -> None:
        """The reset-connection flag: drop settings, temp tables and an open transaction; keep the login."""

    def close(self) -> None:
        """The connection is closed: roll back and drop temp tables."""


class Engine(Protocol):
    """All databases of one server."""

    @property
    def recovers_sessions(self) -> bool:
        """Whether drivers may reconnect a broken idle connection by themselves."""

    def login(self, user: str, password: str, database: str, *, app: str, host: str) -> Session:
        """Open a session. Raises SqlError 18456 (severity 14) or 4060 (severity 11)."""

    def login_with_token(self, token: str, database: str, *, app: str, host: str) -> Session:
        """Open a session of an identity of Entra ID. Raises SqlError 18456 or 4060."""

    def restore_database(self, name: str, device: str) -> None:
        """RESTORE DATABASE: replace a database by a backup of it. Raises SqlError, 3101 while it is in use."""

    def close(self) -> None:
        """Stop the capture and cleanup threads and close the storage."""
