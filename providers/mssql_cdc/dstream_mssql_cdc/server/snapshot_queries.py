"""The queries of a snapshot: a source table's description and its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from dstream_mssql_cdc import errors
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.server import sql
from dstream_mssql_cdc.server.session import Results, SqlSession
from dstream_mssql_cdc.snapshot import statements
from dstream_mssql_cdc.snapshot.keys import KeyColumn
from dstream_mssql_cdc.snapshot.source import Chunk, SourceRow, SourceTable, source_table
from dstream_mssql_cdc.state import KeyValue


class SnapshotQueries:
    """A SnapshotSource."""

    def __init__(self, session: SqlSession) -> None:
        self._session = session

    def describe(self, object_id: int) -> SourceTable:
        with self._session.results(statements.DESCRIBE, object_id, object_id, object_id) as results:
            tables, columns, indexes = results.rows(), results.next_named_rows(), results.next_rows()
        if not tables:
            raise errors.ReadInterrupted("mssql.schema_changed", f"the table with object id {object_id} is gone")
        schema, table, may_read, rows = tables[0]
        name = f"{sql.quoted(schema)}.{sql.quoted(table)}"
        if not may_read:
            raise errors.no_select(name, self._session.login)
        masked: set[str] = set()
        if any(column.get("is_masked") for column in columns):
            with self._session.results(statements.MASKED, object_id, name) as results:
                masked = {row[0] for row in results.rows()}
        return source_table(name, object_id, rows, columns, indexes, masked)

    def unreadable(self) -> dict[int, str]:
        """The captured tables whose rows the login cannot read: quoted names by object id."""
        with self._session.results(statements.UNREADABLE) as results:
            return {row[0]: f"{sql.quoted(row[1])}.{sql.quoted(row[2])}" for row in results.rows()}

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> SourceRow | None:
        with self._session.results(statements.last_key(table.name, key)) as results:
            rows = results.rows()
            _time_of(table, results.next_rows())
        return rows[0] if rows else None

    def chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[KeyValue] | None,
        up_to: Sequence[KeyValue] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        try:
            return self._chunk(table, key, builder, after, up_to, max_rows, max_bytes)
        except UnicodeDecodeError:
            with self._session.accepting_half_pairs():
                chunk = self._chunk(table, key, builder, after, up_to, max_rows, max_bytes)
        return replace(chunk, rows=self._session.without_half_pairs(chunk.rows, builder, len(key)))

    def _chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[KeyValue] | None,
        up_to: Sequence[KeyValue] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        expressions = self._expressions(table, builder)
        rows: list[Any] = []
        now = datetime.min
        ranges = list(statements.ranges(key, after))
        for place, (where, bound) in enumerate(ranges, 1):
            statement, parameters = statements.chunk(
                table.name, key, expressions, where, bound, up_to, max_rows - len(rows)
            )
            with self._session.results(statement, *parameters) as results:
                fetched, is_cut = results.limited_rows(builder, max_rows, max_bytes)
                if not is_cut:
                    now = _time_of(table, results.next_rows())
            wanted = [row[:-1] for row in fetched if not row[-1]]
            rows += wanted
            if len(wanted) < len(fetched):
                return Chunk(rows, is_last=True, now=self._now(table) if is_cut else now)
            if is_cut:
                return Chunk(rows, is_last=False, now=self._now(table))
            if len(rows) >= max_rows or (rows and builder.is_wide and place < len(ranges)):
                return Chunk(rows, is_last=False, now=now)
        return Chunk(rows, is_last=True, now=now)

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        with self._session.accepting_half_pairs(), closing(self._session.connection.cursor()) as cursor:
            with self._session.asking():
                cursor.execute(statements.scan(table.name, self._expressions(table, builder)))
                results = Results(cursor)
                _time_of(table, results.rows())
                results.has_next()
            while True:
                with self._session.asking():
                    limit = max(1, min(max_rows, max_bytes // builder.row_bytes))
                    rows, _ = results.limited_rows(builder, limit, max_bytes)
                if not rows:
                    break
                yield Chunk(self._session.without_half_pairs(rows, builder, 0), is_last=False, now=datetime.min)
        yield Chunk([], is_last=True, now=self._now(table))

    def _expressions(self, table: SourceTable, builder: EventBuilder) -> list[str]:
        """The select list for the source table. A captured column that the table no longer has is NULL, as in its
        change rows ("cdc.<capture_instance>_CT", Remarks). Raises AuthError for a masked column."""
        found = {column.name: column for column in table.columns}
        types = {column.name: column.type for column in builder.shape.columns}
        for column in builder.shape.columns:
            if column.hiding != "redact" and column.name in found and found[column.name].is_masked:
                raise errors.masked_column(builder.shape.name, column.name, self._session.login, on=table.name)
        return builder.select_list(lambda name: sql.quoted(name) if name in found else f"CAST(NULL AS {types[name]})")

    def _now(self, table: SourceTable) -> datetime:
        with self._session.results(statements.now(table.name)) as results:
            return _time_of(table, results.rows())


def _time_of(table: SourceTable, rows: Sequence[Any]) -> datetime:
    """The result of `statements.now`. Raises ReadInterrupted if the rows were those of another table."""
    time, object_id = rows[0]
    if object_id != table.object_id:
        raise errors.ReadInterrupted("mssql.schema_changed", f"{table.name} is another table now")
    return time  # type: ignore[no-any-return]  # datetime
