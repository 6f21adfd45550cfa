"""The live database as a CdcSource: before, during and after each answer, something may happen or fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dstream_mssql_cdc.catalog.columns import Choices, Column
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import EventBuilder, TableShape
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn
from dstream_mssql_cdc.snapshot.source import Chunk, SourceTable
from dstream_mssql_cdc.stream.source import Page, Poll, Probe
from dstream_mssql_cdc.stream.window import Mapped

from tests.unit.mssql_cdc.change_log import is_after
from tests.unit.mssql_cdc.live_database import (
    GUID,
    CaptureInstance,
    ColumnType,
    LiveDatabase,
    LiveTable,
    Values,
    selected,
)

_KEY = KeyColumn(SourceColumn("Id", "int"))


class Witness(Protocol):
    """Sees each answer at the moment at which the reader gets it."""

    def polled(self, marks: Sequence[Watermark]) -> None: ...
    def read(self, instance: CaptureInstance | None, rows: Sequence[tuple[Any, ...]]) -> None: ...
    def cataloged(self, tables: Sequence[LiveTable]) -> None: ...
    def scan_begins(self, object_id: int) -> None: ...
    def fenced(self, object_id: int, lsn: bytes) -> None: ...
    def bounded(self, table: LiveTable, last: int | None) -> None: ...
    def rows_read(
        self, table: LiveTable, rows: Mapping[int, Values], after: int | None, up_to: int | None, *, is_last: bool
    ) -> None: ...


def nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class FencedTable:
    """A Fence."""

    lsn: bytes
    scanned: Callable[[EventBuilder, int], Iterator[Chunk]]

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        return self.scanned(builder, max_rows)


class LiveSource:
    """`selects`: whether the config selects a name. `happens` is called whenever something may happen to the source,
    `fails` whenever a call may fail."""

    def __init__(
        self,
        database: LiveDatabase,
        witness: Witness,
        selects: Callable[[str], bool],
        happens: Callable[[], None] = nothing,
        fails: Callable[[], None] = nothing,
    ) -> None:
        self._database = database
        self._witness = witness
        self._selects = selects
        self._chance = database.chance
        self._happens = happens
        self._fails = fails
        self._others: dict[int, str] = {}

    def _asked(self) -> None:
        self._happens()
        self._fails()

    def max_lsn(self) -> bytes | None:
        return self._database.captured_lsn if any(self._database.captured_lsn) else None

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        self._asked()
        self._database.capture()
        first, last = self._database.mapping_begins, self._database.captured_lsn
        shown = [one for one in self._database.log if first <= one.lsn <= last]
        mapped = [Mapped(one.lsn, one.tran_id, one.commit_time) for one in shown if one.lsn >= from_lsn]
        self._happens()
        marks = self._marks()
        self._fails()
        self._witness.polled(marks)
        return Poll(shown[-1].lsn if shown else None, self._database.now, mapped[:limit], marks)

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        self._asked()
        rows = [self._captured_rows(self._instance(name)) for name in instances]
        hits = {at for at, found in enumerate(rows) if any(from_lsn <= row[0] <= upper for row in found)}
        self._happens()
        marks = self._marks()
        self._fails()
        self._witness.read(None, [])
        return Probe(frozenset(hits), marks)

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        self._asked()
        live = self._instance(instance)
        rows = [row for row in self._captured_rows(live) if row[0] <= upper and is_after(row, floor)]
        rows.sort(key=lambda row: (row[0], -1 if row[1] is None else row[1], *row[2:4]))
        cut = self._chance.randint(1, max_rows)
        self._happens()
        tables = [table for table in self._database.tables if table.object_id == builder.shape.object_id]
        marks = [_mark(table, one) for table in tables for one in table.instances]
        self._fails()
        self._witness.read(live, rows[:cut])
        return Page([*rows[:cut]], len(rows) >= cut, marks)

    def captured(self) -> list[CapturedTable]:
        self._asked()
        tables = [table for table in self._database.tables if table.instances]
        self._others = {table.object_id: table.name for table in tables if not self.selects(table.name)}
        self._fails()
        self._witness.cataloged(tables)
        return [_captured_table(table) for table in tables if self.selects(table.name)]

    def selects(self, name: str) -> bool:
        return self._selects(name)

    def others(self) -> dict[int, str]:
        return self._others

    def describe(self, object_id: int) -> SourceTable:
        self._asked()
        for table in self._database.tables:
            if table.object_id == object_id:
                return SourceTable(table.name, table.object_id, 5, (), ((_KEY,),) if table.has_key else ())
        raise _invalid_object(str(object_id))

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> Sequence[Any] | None:
        self._asked()
        live = self._named(table)
        last = max(live.rows, default=None)
        self._fails()
        self._witness.bounded(live, last)
        return None if last is None else [last]

    def chunk(
        self,
        table: SourceTable,
        key: Sequence[KeyColumn],
        builder: EventBuilder,
        after: Sequence[Any] | None,
        up_to: Sequence[Any] | None,
        max_rows: int,
        max_bytes: int,
    ) -> Chunk:
        self._asked()
        live = self._named(table)
        bound = after[0] if after else None
        end = up_to[0] if up_to else None
        keys = [id_ for id_ in sorted(live.rows) if (bound is None or id_ > bound) and (end is None or id_ <= end)]
        cut = self._chance.randint(1, max_rows)
        self._fails()
        found = {id_: live.rows[id_] for id_ in keys[:cut]}
        self._witness.rows_read(live, found, bound, end, is_last=len(keys) < cut)
        rows = [(id_, *_source_row(builder, row)) for id_, row in found.items()]
        return Chunk(rows, len(keys) < cut, self._database.now)

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        self._asked()
        live = self._named(table)
        self._witness.scan_begins(builder.shape.object_id)
        yield from self._scanned(live, live, builder, max_rows)

    @contextmanager
    def fence(self, table: SourceTable) -> Iterator[FencedTable]:
        self._asked()
        live = self._named(table)
        lsn = self._database.fence()
        self._witness.fenced(live.object_id, lsn)
        frozen = replace(live, rows=dict(live.rows))
        yield FencedTable(lsn, lambda builder, max_rows: self._scanned(live, frozen, builder, max_rows))

    def _scanned(self, live: LiveTable, rows_of: LiveTable, builder: EventBuilder, max_rows: int) -> Iterator[Chunk]:
        """The rows that `rows_of` has when each is read, in any order."""
        keys = self._chance.sample(sorted(rows_of.rows), len(rows_of.rows))
        while keys:
            cut = self._chance.randint(1, max_rows)
            # A scan that holds a page lock or reads row versions does not see what is deleted meanwhile.
            some = {id_: rows_of.rows[id_] for id_ in keys[:cut] if id_ in rows_of.rows}
            keys = keys[cut:]
            if some:
                self._witness.rows_read(live, some, None, None, is_last=False)
                yield Chunk([_source_row(builder, row) for row in some.values()], False, self._database.now)
                self._asked()
        self._witness.rows_read(live, {}, None, None, is_last=True)
        yield Chunk([], True, self._database.now)

    def _named(self, table: SourceTable) -> LiveTable:
        """The table that was described, unless it has another name now, or another table has its name."""
        for live in self._database.tables:
            if (live.name, live.object_id) == (table.name, table.object_id):
                return live
        raise _invalid_object(table.name)

    def _instance(self, name: str) -> CaptureInstance:
        for table in self._database.tables:
            for instance in table.instances:
                if instance.name == name:
                    return instance
        raise _invalid_object(name)

    def _captured_rows(self, instance: CaptureInstance) -> list[tuple[Any, ...]]:
        return [row for row in instance.rows if row[0] <= self._database.captured_lsn]

    def _marks(self) -> list[Watermark]:
        """Those of all tables, which do not tell when a change table was altered."""
        tables = self._database.tables
        return [_mark(table, one)._replace(modified=None) for table in tables for one in table.instances]


def builder_of(table: CapturedTable, instance: str) -> EventBuilder:
    found = next(one for one in table.instances if one.mark.instance == instance)
    prefix = f"{GUID[:8]}/{table.object_id}/"
    return EventBuilder(
        TableShape(table.name, table.object_id, list(found.key), found.columns, prefix, 1_000_000, Choices())
    )


def _captured_table(table: LiveTable) -> CapturedTable:
    key = ("Id",) if table.has_key else ()
    instances = tuple(
        CapturedInstance(
            _mark(table, instance),
            tuple(Column(one.name, one.type, at, one.length) for at, one in enumerate(instance.columns, 1)),
            key,
        )
        for instance in table.instances
    )
    return CapturedTable(table.name, table.object_id, instances)


def _mark(table: LiveTable, instance: CaptureInstance) -> Watermark:
    ids = (instance.object_id, table.object_id)
    return Watermark(instance.name, *ids, instance.start_lsn, instance.created, instance.modified)


def _source_row(builder: EventBuilder, row: Values) -> tuple[Any, ...]:
    columns = tuple(ColumnType(column.name, column.type, column.length) for column in builder.shape.columns)
    return selected(columns, row)


def _invalid_object(name: str) -> ReadInterrupted:
    """Error 208."""
    return ReadInterrupted("mssql.schema_changed", f"Invalid object name '{name}'.")
