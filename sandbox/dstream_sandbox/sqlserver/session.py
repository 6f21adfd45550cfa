"""The seam between the wire and the engine: what a session can be asked, and the events it answers with.

The wire (`tds/`) turns packets into these calls and these events into tokens; the engine (`engine/`) knows nothing of
packets. One thread serves one connection, so calls of one Session never overlap; only `cancel` comes from elsewhere.
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
    """A result set begins; `Rows` of it follow until `Done`."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of the current result set: a bounded number, so that the wire streams."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Done:
    """A statement ended. `count` is its row count, None where SQL Server reports none (SET NOCOUNT ON, DDL, ..)."""

    count: int | None
    is_select: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """An error (severity above 10) or an information message, numbered and worded as SQL Server's."""

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
    """An OUTPUT parameter after the call."""

    name: str
    type: SqlType
    value: Value


@dataclass(frozen=True, slots=True)
class DatabaseChanged:
    """USE took effect, or the login chose its database."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TransactionChanged:
    """A transaction began, committed or rolled back: the wire tells the driver with an ENVCHANGE."""

    kind: str  # "begin" | "commit" | "rollback"
    descriptor: int


Event = Columns | Rows | Done | Message | ReturnStatus | OutputValue | DatabaseChanged | TransactionChanged


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter as the wire received it. `name` has its @, or is empty for a positional one."""

    name: str
    type: SqlType
    value: Value
    is_output: bool = False


class SqlError(Exception):
    """An error in SQL Server's numbers and words; the engine raises it inside, sessions report it as `Message`."""

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
        """Run a batch. With `params` it is sp_executesql's body: `declarations` is its `@P1 int, @P2 nvarchar(4000)`.

        `in_procedure`: it is inside sp_executesql or its kin, so SET options and #tables end with it.

        Never raises SqlError: an error is a `Message`, and what SQL Server would go on with goes on.
        """

    def call(self, procedure: str, params: Sequence[Param]) -> Iterator[Event]:
        """Call a procedure by name (a user's, a CDC one, a catalog one): EXEC semantics. 2812 when there is none."""

    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]:
        """The first result set's columns without running anything; () when there is none. May raise SqlError."""

    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]:
        """Names and suggested types of undeclared parameters. May raise SqlError."""

    def bulk_insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterator[Row],
        *,
        types: Sequence[SqlType] = (),
        check_constraints: bool = False,
    ) -> int:
        """INSERT BULK: insert `rows`, return their count. `types` are the rows' own, the table's by default.

        May raise SqlError.
        """

    def begin(self, name: str = "", isolation: str | None = None) -> Iterator[Event]:
        """A transaction manager request; `isolation` as in SET TRANSACTION ISOLATION LEVEL."""

    def commit(self, name: str = "") -> Iterator[Event]: ...
    def rollback(self, name: str = "") -> Iterator[Event]: ...
    def save(self, name: str) -> Iterator[Event]: ...

    @property
    def transaction_descriptor(self) -> int:
        """0 when no transaction is open."""

    def cancel(self) -> None:
        """ATTENTION: from any thread. What runs stops soon, without an error message of its own."""

    def reset(self) -> None:
        """The reset-connection flag: settings, temp tables and an open transaction go; the login stays."""

    def close(self) -> None:
        """The connection is gone: roll back, drop temp tables."""


class Engine(Protocol):
    """All databases of one server."""

    def login(self, user: str, password: str, database: str, *, app: str, host: str) -> Session:
        """A new session. Raises SqlError 18456 (severity 14) or 4060 (severity 11)."""

    def close(self) -> None:
        """Stop capture and cleanup threads, close the storage."""
