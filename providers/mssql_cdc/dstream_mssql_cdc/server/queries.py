"""Implements CdcSource with SQL Server. Here: the catalog, and the queries at the start of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from dstream.odbc import numbers_of
from dstream.sdk.errors import SystemFault
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.catalog.instances import CapturedTable
from dstream_mssql_cdc.catalog.tables import Catalog, catalog_of, is_selected, select
from dstream_mssql_cdc.config import has_offset
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.server.change_queries import ChangeQueries
from dstream_mssql_cdc.server.fence import check_fence, fenced_rows
from dstream_mssql_cdc.server.session import SqlSession
from dstream_mssql_cdc.server.snapshot_queries import SnapshotQueries
from dstream_mssql_cdc.snapshot.source import Fence, SourceTable
from dstream_mssql_cdc.stream.history import mapped_at

_SYNTAX, _UNKNOWN_FUNCTION, _UNKNOWN_ZONE = 102, 195, 9820


class SqlServer(ChangeQueries, SnapshotQueries):
    """A CdcSource for the tables that `tables` and `excluded` select. Owns the session."""

    def __init__(
        self,
        session: SqlSession,
        *,
        tables: Sequence[str],
        excluded: Sequence[str],
        operations: Sequence[int],
        open_session: Callable[[], SqlSession],
    ) -> None:
        """`open_session`: opens another one to the same server."""
        ChangeQueries.__init__(self, session, operations)
        self._tables = tables
        self._excluded = excluded
        self._open_session = open_session
        self._others: dict[int, str] = {}

    def close(self) -> None:
        self._session.close()

    def fence(self, table: SourceTable) -> AbstractContextManager[Fence]:
        return fenced_rows(self._open_session, table.name)

    def check_fence(self) -> None:
        """Raises AuthError or ConfigError if fenced snapshots are not possible."""
        check_fence(self._session)

    def guid(self) -> str:
        """The database's service_broker_guid. Raises ConfigError if CDC is not enabled."""
        with self._session.results(sql.DATABASE) as results:
            name, is_enabled, guid = results.rows()[0]
        if not is_enabled:
            raise errors.cdc_disabled(name)
        return str(guid).lower()

    def learn_time_zone(self, name: str | None) -> None:
        """Learn which time zone the server's local times are in. `name`: its Windows name; None: ask the server, which
        can tell since SQL Server 2022. Raises ConfigError for a name that the server does not know."""
        zone = sql.literal(name) if name else sql.CURRENT_TIME_ZONE
        try:
            with self._session.results(sql.utc_offset(zone)):
                self._zone = zone
        except SystemFault as error:
            if not {_SYNTAX, _UNKNOWN_FUNCTION, _UNKNOWN_ZONE} & set(numbers_of(error.message)):
                raise
            if name:
                raise errors.unknown_time_zone(name, error.message) from error

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        """The rows of a statement with one result. Raises AuthError if the login lacks a permission for it."""
        with self._session.results(statement, *parameters) as results:
            return results.rows()

    def run(self, statement: str, *parameters: object) -> None:
        """Run a procedure to its end: an error can follow a result."""
        with self._session.results(statement, *parameters) as results:
            while results.has_next():
                pass

    def agent_status(self) -> str | None:
        """The status of SQL Server Agent, e.g. "Running" or "Stopped"; None if unknown."""
        import pyodbc

        try:
            rows = self._session.connection.execute(sql.AGENT_STATUS).fetchall()
        except pyodbc.Error:
            return None  # The login lacks the permission, or this is Azure SQL Database, which has no Agent.
        return str(rows[0][0]) if rows else None

    def max_lsn(self) -> bytes | None:
        with self._session.results(sql.MAX_LSN) as results:
            return results.rows()[0][0]  # type: ignore[no-any-return]  # binary(10) or NULL

    def tran_id_at(self, lsn: bytes) -> bytes | None:
        """The transaction with that commit LSN, or None."""
        row = mapped_at(self.poll(lsn, 1).mapped, lsn)
        return row.tran_id if row else None

    def lsn_at(self, time: str) -> bytes | None:
        """The first LSN at or after the time, or None. A time without an offset is in the server's time zone. Raises
        ConfigError if the server cannot convert an offset."""
        statement = sql.LSN_AT_TIME
        if has_offset(time):
            if self._zone is None:
                raise errors.offset_unsupported()
            statement = sql.lsn_at_instant(self._zone)
        with self._session.results(statement, time) as results:
            return results.rows()[0][0]  # type: ignore[no-any-return]  # binary(10) or NULL

    def cdc_offsets(self) -> list[tuple[str, bytes | None]] | None:
        """The original DStream's checkpoints, as table name and last LSN; None if it stored none here."""
        if not self.table_exists("dbo", "cdc_offsets"):
            return None
        with self._session.results(sql.CDC_OFFSETS) as results:
            return [(name, lsn) for name, lsn in results.rows()]

    def table_exists(self, schema: str, table: str) -> bool:
        with self._session.results(sql.TABLE_EXISTS, schema, table) as results:
            return results.rows()[0][0] is not None

    def catalog(self) -> Catalog:
        with self._session.results(sql.CATALOG) as results:
            tables, columns = results.rows(), results.next_rows()
            details, keys, ddl = results.next_named_rows(), results.next_rows(), results.next_rows()
        masked: set[tuple[int, str]] = set()
        if any(detail.get("is_masked") for detail in details):
            with self._session.results(sql.MASKED) as results:
                masked = {(object_id, name) for object_id, name in results.rows()}
        return catalog_of(tables, columns, details, keys, masked, ddl)

    def unordered(self) -> set[str]:
        """The capture instances whose change table's clustered index is not in reading order, so that every page sorts.

        KB3030352 adds `__$command_id` to existing change tables, but leaves their index as it was (unconfirmed)."""
        keys: dict[str, list[str]] = {}
        with self._session.results(sql.CHANGE_TABLE_KEYS) as results:
            for instance, column in results.rows():
                keys.setdefault(instance, []).append(column)
        return {instance for instance, columns in keys.items() if tuple(columns[:4]) != sql.READING_ORDER}

    def captured(self) -> list[CapturedTable]:
        """The requested tables that are captured now. The stream detects those that no longer are."""
        catalog = self.catalog()
        tables = select(catalog, self._tables, self._excluded)[0]
        ids = {table.object_id for table in tables}
        self._others = {table.object_id: table.name for table in catalog.tables if table.object_id not in ids}
        return tables

    def selects(self, name: str) -> bool:
        return is_selected(name, self._tables, self._excluded)

    def others(self) -> Mapping[int, str]:
        return self._others
