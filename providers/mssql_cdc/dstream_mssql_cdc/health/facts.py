"""What the server tells about capture, as far as the login may see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from dstream.sdk.errors import AuthError
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.health import statements
from dstream_mssql_cdc.server import sql

Query = Callable[..., Sequence[Any]]
"""Runs a statement with its parameters and returns the rows. Raises AuthError if a permission is missing."""
PlatformKind = Literal["SQL Server", "Azure SQL Database", "Azure SQL Managed Instance", "Amazon RDS for SQL Server"]
_AZURE_KINDS: dict[int, PlatformKind] = {
    5: "Azure SQL Database",
    8: "Azure SQL Managed Instance",
    12: "Azure SQL Database",
}
_SHORT_PART = 4
"""A time to loss below this part of the retention is short."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Denied:
    """The login lacks a permission. `message`: the server's."""

    message: str


@dataclass(frozen=True, slots=True)
class Platform:
    kind: PlatformKind
    version: str
    edition: str
    login: str
    user: str
    database: str
    is_read_only: bool
    """A readable secondary: the jobs run on the primary, and the views of capture are empty."""

    @property
    def has_agent_jobs(self) -> bool:
        """Azure SQL Database schedules capture and cleanup itself."""
        return self.kind != "Azure SQL Database"

    @property
    def has_agent_service(self) -> bool:
        return self.kind in ("SQL Server", "Amazon RDS for SQL Server")


@dataclass(frozen=True, slots=True)
class CdcJob:
    """A job of CDC. Azure SQL Database tells neither `name`, `is_enabled` nor `is_running`."""

    kind: str
    retention_min: int
    name: str | None = None
    is_enabled: bool | None = None
    is_running: bool | None = None


@dataclass(frozen=True, slots=True)
class CaptureError:
    at: datetime
    number: int
    message: str


@dataclass(frozen=True, slots=True)
class ChangeTableSizes:
    tables: int
    rows: int
    kib: int


@dataclass(frozen=True, slots=True)
class TimeToLoss:
    """How long cleanup leaves the oldest unread change alone. `unread_s`: its age; None if all have been read."""

    retention_s: float
    unread_s: float | None

    @property
    def left_s(self) -> float:
        return self.retention_s - (self.unread_s or 0)

    @property
    def is_short(self) -> bool:
        return self.left_s < self.retention_s / _SHORT_PART


def attempt(read: Callable[[], T]) -> T | Denied:
    try:
        return read()
    except AuthError as error:
        return Denied(error.message)


def platform(query: Query) -> Platform:
    engine_edition, version, edition, login, user, database, rds, updateability = query(statements.PLATFORM)[0]
    kind = _AZURE_KINDS.get(engine_edition) or ("Amazon RDS for SQL Server" if rds is not None else "SQL Server")
    return Platform(kind, version, edition, login, user, database, updateability == "READ_ONLY")


def retention_s(query: Query, where: Platform) -> float | None:
    """How long cleanup keeps changes; None without a cleanup job: for ever."""
    rows = _of_jobs(query, statements.RETENTION if where.has_agent_jobs else statements.AZURE_RETENTION)
    return rows[0][0] * 60.0 if rows else None


def jobs(query: Query, where: Platform) -> dict[str, CdcJob]:
    """The jobs by kind, `capture` and `cleanup`."""
    found = {}
    for kind, retention, name, enabled, started, stopped in _of_jobs(
        query, statements.JOBS if where.has_agent_jobs else statements.AZURE_JOBS
    ):
        is_running = started is not None and stopped is None if where.has_agent_jobs else None
        found[kind] = CdcJob(kind, retention, name, None if enabled is None else bool(enabled), is_running)
    return found


def _of_jobs(query: Query, statement: str) -> Sequence[Any]:
    """The first sys.sp_cdc_add_job creates cdc_jobs (seen by others): without it, there are no jobs."""
    try:
        return query(statement)
    except ReadInterrupted as error:
        if error.code != "mssql.schema_changed":
            raise
        return ()


def capture_errors(query: Query) -> list[CaptureError]:
    """Those of the last 24 hours, oldest first."""
    return [CaptureError(*row) for row in query(statements.ERRORS)]


def latency_s(query: Query) -> int | None:
    """Of the last log scan that has ended; None if there was none."""
    rows = query(statements.LATENCY)
    return rows[0][0] if rows else None


def sizes(query: Query) -> ChangeTableSizes:
    tables, rows, kib = query(statements.SIZES)[0]
    return ChangeTableSizes(tables, rows or 0, kib or 0)


def unread_s(query: Query, next_lsn: bytes) -> float | None:
    """The age of the oldest transaction from `next_lsn` on; None if there is none."""
    rows = query(statements.OLDEST_UNREAD, next_lsn)
    return max(0.0, (rows[0][1] - rows[0][0]).total_seconds()) if rows else None


def agent_status(query: Query) -> str | None:
    rows = query(sql.AGENT_STATUS)
    return str(rows[0][0]) if rows else None
