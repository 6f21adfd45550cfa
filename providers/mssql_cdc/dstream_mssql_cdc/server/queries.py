"""Implements CdcSource with SQL Server: one connection, one statement at a time, one round trip per query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dstream.sdk.errors import SystemFault
from dstream_mssql_cdc import errors
from dstream_mssql_cdc.catalog.columns import milliseconds
from dstream_mssql_cdc.catalog.instances import CapturedTable, Watermark
from dstream_mssql_cdc.catalog.tables import Catalog, catalog_of, is_selected, select, watermark
from dstream_mssql_cdc.config import has_offset
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import CONTROL_COLUMNS, ChangeRow, EventBuilder
from dstream_mssql_cdc.server import half_pairs, sql
from dstream_mssql_cdc.snapshot import statements
from dstream_mssql_cdc.snapshot.keys import KeyColumn
from dstream_mssql_cdc.snapshot.source import Chunk, SourceTable, source_table
from dstream_mssql_cdc.state import KeyValue
from dstream_mssql_cdc.stream.history import mapped_at
from dstream_mssql_cdc.stream.source import Page, Poll, Probe
from dstream_mssql_cdc.stream.window import Mapped

if TYPE_CHECKING:
    import pyodbc

_FETCH_ROWS = 500
_SYNTAX, _UNKNOWN_FUNCTION, _UNKNOWN_ZONE = 102, 195, 9820
_LARGE_FETCH_ROWS = 16
"""Small rows can be followed by rows with values of up to half of max_line."""
_SIZED = (str, bytes)


class SqlServer:
    """A CdcSource, and the queries at the start of a run. Owns the connection."""

    def __init__(
        self,
        connection: pyodbc.Connection,
        *,
        database: str,
        login: str,
        tables: Sequence[str],
        excluded: Sequence[str] = (),
        operations: Sequence[int],
        awaiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_half_pairs: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:
        """`awaiting`: entered around each query, to report one that is not answered. `on_half_pairs`: called for the
        first row of a page whose text was changed (half_pairs.py), with the table, the column and the row's key."""
        self._connection = connection
        self._database = database
        self._login = login
        self._tables = tables
        self._excluded = excluded
        self._operations = operations
        self._awaiting = awaiting
        self._on_half_pairs = on_half_pairs
        self._zone: str | None = None
        self._described: dict[EventBuilder, object] = {}
        self._others: dict[int, str] = {}

    def close(self) -> None:
        import pyodbc

        try:
            self._connection.close()
        except pyodbc.Error:
            pass  # The connection is broken, so there is nothing to release.

    def guid(self) -> str:
        """The database's service_broker_guid. Raises ConfigError if CDC is not enabled."""
        with self._results(sql.DATABASE) as results:
            name, is_enabled, guid = results.rows()[0]
        if not is_enabled:
            raise errors.cdc_disabled(name)
        return str(guid).lower()

    def learn_time_zone(self, name: str | None) -> None:
        """Learn which time zone the server's local times are in. `name`: its Windows name; None: ask the server, which
        can tell since SQL Server 2022. Raises ConfigError for a name that the server does not know."""
        zone = sql.literal(name) if name else sql.CURRENT_TIME_ZONE
        try:
            with self._results(sql.utc_offset(zone)):
                self._zone = zone
        except SystemFault as error:
            if not {_SYNTAX, _UNKNOWN_FUNCTION, _UNKNOWN_ZONE} & set(errors.numbers_of(error.message)):
                raise
            if name:
                raise errors.unknown_time_zone(name, error.message) from error

    def rows(self, statement: str, *parameters: object) -> list[Any]:
        """The rows of a statement with one result. Raises AuthError if the login lacks a permission for it."""
        with self._results(statement, *parameters) as results:
            return results.rows()

    def agent_status(self) -> str | None:
        """The status of SQL Server Agent, e.g. "Running" or "Stopped"; None if unknown."""
        import pyodbc

        try:
            rows = self._connection.execute(sql.AGENT_STATUS).fetchall()
        except pyodbc.Error:
            return None  # The login lacks the permission, or this is Azure SQL Database, which has no Agent.
        return str(rows[0][0]) if rows else None

    def max_lsn(self) -> bytes | None:
        with self._results(sql.MAX_LSN) as results:
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
        with self._results(statement, time) as results:
            return results.rows()[0][0]  # type: ignore[no-any-return]  # binary(10) or NULL

    def cdc_offsets(self) -> list[tuple[str, bytes | None]] | None:
        """The original DStream's checkpoints, as table name and last LSN; None if it stored none here."""
        if not self.table_exists("dbo", "cdc_offsets"):
            return None
        with self._results(sql.CDC_OFFSETS) as results:
            return [(name, lsn) for name, lsn in results.rows()]

    def table_exists(self, schema: str, table: str) -> bool:
        with self._results(sql.TABLE_EXISTS, schema, table) as results:
            return results.rows()[0][0] is not None

    def catalog(self) -> Catalog:
        with self._results(sql.CATALOG) as results:
            tables, columns = results.rows(), results.next_rows()
            details, keys, ddl = results.next_named_rows(), results.next_rows(), results.next_rows()
        masked: set[tuple[int, str]] = set()
        if any(detail.get("is_masked") for detail in details):
            with self._results(sql.MASKED) as results:
                masked = {(object_id, name) for object_id, name in results.rows()}
        return catalog_of(tables, columns, details, keys, masked, ddl)

    def unordered(self) -> set[str]:
        """The capture instances whose change table's clustered index is not in reading order, so that every page sorts.

        KB3030352 adds `__$command_id` to existing change tables, but leaves their index as it was (unconfirmed)."""
        keys: dict[str, list[str]] = {}
        with self._results(sql.CHANGE_TABLE_KEYS) as results:
            for instance, column in results.rows():
                keys.setdefault(instance, []).append(column)
        return {instance for instance, columns in keys.items() if tuple(columns[:4]) != sql.READING_ORDER}

    def captured(self) -> list[CapturedTable]:
        """The requested tables that are captured now. The stream detects those that no longer are."""
        self._described.clear()
        catalog = self.catalog()
        tables = select(catalog, self._tables, self._excluded)[0]
        ids = {table.object_id for table in tables}
        self._others = {table.object_id: table.name for table in catalog.tables if table.object_id not in ids}
        return tables

    def selects(self, name: str) -> bool:
        return is_selected(name, self._tables, self._excluded)

    def others(self) -> Mapping[int, str]:
        return self._others

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        with self._results(sql.poll(self._zone), limit, from_lsn) as results:
            max_lsn, now, updateability = results.rows()[0]
            mapped = [
                Mapped(lsn, tran_id, milliseconds(ended), _offset_text(minutes))
                for lsn, tran_id, ended, minutes in results.next_rows()
            ]
            return Poll(max_lsn, now, mapped, _marks(results.next_rows()), updateability == "READ_ONLY")

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        with self._results(sql.probe(instances), from_lsn, upper) as results:
            answers = [results.rows()]
            while results.has_next():
                answers.append(results.rows())
            *hits, marks = answers
            return Probe(frozenset(row[0] for rows in hits for row in rows), _marks(marks))

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        try:
            return self._page(instance, builder, floor, upper, max_rows, max_bytes)
        except UnicodeDecodeError:
            with half_pairs.accepted(self._connection):
                page = self._page(instance, builder, floor, upper, max_rows, max_bytes)
        return replace(page, rows=self._without_halves(page.rows, builder, CONTROL_COLUMNS))

    def _without_halves(self, rows: Sequence[Any], builder: EventBuilder, first: int) -> list[Any]:
        """Rows without half pairs; `first` is the place of the first column. Reports the first row that had one."""
        checked = [half_pairs.replaced(row) for row in rows]
        changed = next(((row, places[0]) for row, places in checked if places), None)
        if changed is not None:
            row, at = changed
            lsn = row[0] if first == CONTROL_COLUMNS else b""
            shape = builder.shape
            self._on_half_pairs(shape.name, shape.columns[at - first].name, builder.key_text(row[first:], lsn))
        return [row for row, _ in checked]

    def _page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        select_list = builder.select_list(sql.quoted)
        table = builder.shape.object_id
        statement, parameters = sql.page(instance, table, select_list, floor, upper, self._operations, max_rows)
        with self._results(statement, *parameters) as results:
            if self._described.setdefault(builder, results.description) != results.description:
                # "ALTER TABLE .. ALTER COLUMN" changes the change table's column in place, so read its new shape.
                raise errors.ReadInterrupted("mssql.schema_changed", f"the columns of {instance} have changed")
            rows, is_cut = results.limited_rows(builder, max_rows, max_bytes)
            if not is_cut:
                return Page(rows, len(rows) >= max_rows, _marks(results.next_rows()))
        with self._results(sql.WATERMARKS_OF_TABLE, table) as results:
            return Page(rows, is_full=True, marks=_marks(results.rows()))

    def describe(self, object_id: int) -> SourceTable:
        with self._results(statements.DESCRIBE, object_id, object_id, object_id) as results:
            tables, columns, indexes = results.rows(), results.next_named_rows(), results.next_rows()
        if not tables:
            raise errors.ReadInterrupted("mssql.schema_changed", f"the table with object id {object_id} is gone")
        schema, table, may_read, rows = tables[0]
        name = f"{sql.quoted(schema)}.{sql.quoted(table)}"
        if not may_read:
            raise errors.no_select(name, self._login)
        masked: set[str] = set()
        if any(column.get("is_masked") for column in columns):
            with self._results(statements.MASKED, object_id, name) as results:
                masked = {row[0] for row in results.rows()}
        return source_table(name, rows, columns, indexes, masked)

    def unreadable(self) -> dict[int, str]:
        """The captured tables whose rows the login cannot read: quoted names by object id."""
        with self._results(statements.UNREADABLE) as results:
            return {row[0]: f"{sql.quoted(row[1])}.{sql.quoted(row[2])}" for row in results.rows()}

    def chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[KeyValue] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        try:
            return self._chunk(table, key, builder, after, max_rows, max_bytes)
        except UnicodeDecodeError:
            with half_pairs.accepted(self._connection):
                chunk = self._chunk(table, key, builder, after, max_rows, max_bytes)
        return replace(chunk, rows=self._without_halves(chunk.rows, builder, len(key)))

    def _chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[KeyValue] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        expressions = self._expressions(table, builder)
        rows: list[Any] = []
        now = datetime.min
        ranges = list(statements.ranges(key, after))
        for place, (where, bound) in enumerate(ranges, 1):
            statement, parameters = statements.chunk(table.name, key, expressions, where, bound, max_rows - len(rows))
            with self._results(statement, *parameters) as results:
                fetched, is_cut = results.limited_rows(builder, max_rows, max_bytes)
                rows += fetched
                if not is_cut:
                    now = results.next_rows()[0][0]
            if is_cut:
                return Chunk(rows, is_last=False, now=self._now())
            if len(rows) >= max_rows or (rows and builder.is_wide and place < len(ranges)):
                return Chunk(rows, is_last=False, now=now)
        return Chunk(rows, is_last=True, now=now)

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        with half_pairs.accepted(self._connection), closing(self._connection.cursor()) as cursor:
            with self._translated(), self._awaiting():
                cursor.execute(statements.scan(table.name, self._expressions(table, builder)))
            while True:
                with self._translated(), self._awaiting():
                    limit = max(1, min(max_rows, max_bytes // builder.row_bytes))
                    rows, _ = _Results(cursor).limited_rows(builder, limit, max_bytes)
                if not rows:
                    break
                yield Chunk(self._without_halves(rows, builder, 0), is_last=False, now=datetime.min)
        yield Chunk([], is_last=True, now=self._now())

    def _expressions(self, table: SourceTable, builder: EventBuilder) -> list[str]:
        """The select list for the source table. A captured column that the table no longer has is NULL, as in its
        change rows ("cdc.<capture_instance>_CT", Remarks). Raises AuthError for a masked column."""
        found = {column.name: column for column in table.columns}
        types = {column.name: column.type for column in builder.shape.columns}
        for column in builder.shape.columns:
            if column.hiding != "redact" and column.name in found and found[column.name].is_masked:
                raise errors.masked_column(builder.shape.name, column.name, self._login, on=table.name)
        return builder.select_list(lambda name: sql.quoted(name) if name in found else f"CAST(NULL AS {types[name]})")

    def _now(self) -> datetime:
        with self._results(statements.NOW) as results:
            return results.rows()[0][0]  # type: ignore[no-any-return]  # datetime

    @contextmanager
    def _results(self, statement: str, *parameters: object) -> Iterator[_Results]:
        with self._translated(), self._awaiting():
            cursor = self._connection.cursor()
            try:
                cursor.execute(statement, parameters)
                yield _Results(cursor)
            finally:
                cursor.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import pyodbc

        try:
            yield
        except pyodbc.Error as error:
            raise errors.translate(error, login=self._login, database=self._database, connected=True) from error


class _Results:
    """The results of a batch, in order."""

    def __init__(self, cursor: pyodbc.Cursor) -> None:
        self._cursor = cursor

    @property
    def description(self) -> object:
        """Types, lengths and scales of the columns of the current result."""
        return self._cursor.description

    def rows(self) -> list[Any]:
        return list(self._cursor.fetchall())

    def has_next(self) -> bool:
        return bool(self._cursor.nextset())

    def next_rows(self) -> list[Any]:
        self._cursor.nextset()
        return list(self._cursor.fetchall())

    def next_named_rows(self) -> list[dict[str, Any]]:
        rows = self.next_rows()
        names = [column[0] for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def limited_rows(self, builder: EventBuilder, max_rows: int, max_bytes: int) -> tuple[list[ChangeRow], bool]:
        """Fetch at most `max_rows` until their values exceed `max_bytes`, and return whether they do. Fetches only a
        few at a time if they may be large."""
        if not builder.is_wide:
            return list(self._cursor.fetchmany(max_rows)), False
        rows: list[ChangeRow] = []
        size, largest, ask = 0, 1, 1
        most = _LARGE_FETCH_ROWS if builder.has_lobs else _FETCH_ROWS
        while size <= max_bytes and (ask := min(ask, max_rows - len(rows))):
            if not (fetched := self._cursor.fetchmany(ask)):
                break
            rows += fetched
            sizes = [sum(len(value) for value in row if value.__class__ in _SIZED) for row in fetched]
            size += sum(sizes)
            largest = max(largest, *sizes)
            ask = max(1, min(most, (max_bytes - size) // largest, 2 * ask))
        builder.learn(len(rows), size)
        return rows, size > max_bytes


def _marks(rows: Sequence[Any]) -> list[Watermark]:
    return [watermark(row) for row in rows]


def _offset_text(minutes: int | None) -> str:
    """An offset from UTC as in ISO 8601; empty if it is unknown."""
    if minutes is None:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
