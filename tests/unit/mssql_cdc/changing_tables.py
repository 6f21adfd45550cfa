"""An in-memory database whose tables are written, added, renamed, dropped and captured again while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.errors import ReadInterrupted
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn
from dstream_mssql_cdc.snapshot.source import Chunk, Fence, SourceTable
from dstream_mssql_cdc.stream.source import Page, Poll, Probe
from dstream_mssql_cdc.stream.window import Mapped

from tests.unit.mssql_cdc.change_log import COLUMNS, Row, Transaction, is_after

_KEY = KeyColumn(SourceColumn("Id", "int"))
_ALL, _NAME = b"\x02\x03", b"\x00\x02"


@dataclass(frozen=True)
class Instance:
    name: str
    object_id: int
    start_lsn: bytes
    created: str


@dataclass
class LiveTable:
    """A table and its rows: names by id."""

    name: str
    object_id: int
    instances: list[Instance] = field(default_factory=list)
    rows: dict[int, str] = field(default_factory=dict)


class ChangingTables:
    """The database. Tables named `dbo.*` are selected, others are not."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._number = 0
        self.tables: list[LiveTable] = []
        self.transactions: list[Transaction] = []
        self.shown = bytes(10)
        """How far capture has progressed."""
        self.disturbed: set[int] = set()
        """The object ids of tables whose changes may be lost."""
        self.known: set[int] = set()
        """The object ids in the checkpoint of the run."""
        self.unknown: set[int] = set()
        """Those that no checkpoint knew when they were disturbed or renamed back, so that no reader can tell."""
        self.renamed_back: set[int] = set()
        """Those renamed to a name that is selected, which is noticed when the catalog is read for another reason."""
        for _ in range(chance.randint(1, 3)):
            self.add()

    def act(self) -> None:
        """Commit a transaction, or change a table."""
        actions: list[Callable[[], None]] = [self.write] * 6 + [
            self.add, self.rename, self.drop, self.recreate, self.enable, self.disable, self.drop_older
        ]  # fmt: skip
        self._chance.choice(actions)()

    def write(self) -> None:
        rows: list[Row] = []
        for command in range(1, self._chance.randint(2, 4)):
            if self.tables:
                rows += self._change(self._chance.choice(self.tables), command)
        self.transactions.append(Transaction(self._lsn(), tuple(rows)))

    def _change(self, table: LiveTable, command: int) -> list[Row]:
        key, value = self._chance.randint(1, 5), f"v{self._next()}"
        old = table.rows.get(key)
        if old is None:
            images = [(2, _ALL, value)]
        elif self._chance.random() < 0.3:
            images = [(1, _ALL, old)]
        else:
            images = [(3, _NAME, old), (4, _NAME, value)]
        if images[0][0] == 1:
            del table.rows[key]
        else:
            table.rows[key] = value
        if not table.instances:
            return []
        seqval = bytes(9) + bytes([command])
        return [Row(table.object_id, command, seqval, code, mask, (key, name, "n")) for code, mask, name in images]

    def add(self) -> None:
        if len(self.tables) < 4:
            self._create(f"dbo.T{self._next()}")

    def rename(self) -> None:
        for table in self._some():
            was_selected = is_selected(table.name)
            table.name = f"{self._chance.choice(['dbo', 'dbo', 'old'])}.R{self._next()}"
            if not is_selected(table.name):
                self._disturb(table)
            elif not was_selected:
                self.renamed_back.add(table.object_id)
                self._note_unknown(table)

    def drop(self) -> None:
        for table in self._some():
            self.tables.remove(table)
            self._disturb(table)

    def recreate(self) -> None:
        for table in self._some():
            self.tables.remove(table)
            self._disturb(table)
            self._create(table.name)

    def disable(self) -> None:
        for table in self._some():
            table.instances.clear()
            self._disturb(table)

    def enable(self) -> None:
        """Create the first or the second instance."""
        for table in self._some():
            if len(table.instances) < 2:
                used = {instance.name for instance in table.instances}
                name = next(name for name in (f"ci{table.name}", f"ci{table.name}_2") if name not in used)
                if not table.instances:
                    self._disturb(table)
                created = f"2024-01-01T00:00:00.{self._next():06}"
                table.instances.append(Instance(name, self._next(), self._lsn(), created))
                self.transactions.append(Transaction(table.instances[-1].start_lsn, ()))

    def drop_older(self) -> None:
        for table in self._some():
            if len(table.instances) == 2:
                del table.instances[0]
                self._disturb(table)

    def _disturb(self, table: LiveTable) -> None:
        self.disturbed.add(table.object_id)
        self._note_unknown(table)

    def _note_unknown(self, table: LiveTable) -> None:
        if table.object_id not in self.known:
            self.unknown.add(table.object_id)

    def _create(self, name: str) -> None:
        table = LiveTable(name, self._next())
        start = self._lsn()
        self.tables.append(table)
        table.instances.append(Instance(f"ci{name}", self._next(), start, f"2024-01-01T00:00:00.{self._next():06}"))
        self.transactions.append(Transaction(start, ()))

    def _some(self) -> list[LiveTable]:
        return [self._chance.choice(self.tables)] if self.tables else []

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _lsn(self) -> bytes:
        return (0x2A0000000000000000 + self._next() * 7).to_bytes(10)


def is_selected(name: str) -> bool:
    return name.startswith("dbo.")


class ChangingSource:
    """Reads the database; before each answer, something may happen in it. A poll shows a few more transactions."""

    def __init__(self, database: ChangingTables, chance: Random, acts: int) -> None:
        self._database = database
        self._chance = chance
        self._acts = acts

    def _answer(self) -> None:
        if self._acts and self._chance.random() < 0.6:
            self._acts -= 1
            self._database.act()

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        self._answer()
        unseen = [one.lsn for one in self._database.transactions if one.lsn > self._database.shown]
        if unseen:
            self._database.shown = unseen[min(self._chance.randint(0, 4), len(unseen) - 1)]
        shown = [one for one in self._database.transactions if one.lsn <= self._database.shown]
        mapped = [Mapped(one.lsn, one.tran_id, one.commit_time) for one in shown if one.lsn >= from_lsn]
        return Poll(self._database.shown, datetime(2024, 3, 1), mapped[:limit], self._marks())

    def max_lsn(self) -> bytes | None:
        return self._database.shown

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        self._answer()
        hits = {at for at, name in enumerate(instances) if any(from_lsn <= row[0] <= upper for row in self._rows(name))}
        return Probe(frozenset(hits), self._marks())

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        self._answer()
        rows = [row for row in self._rows(instance) if row[0] <= upper and is_after(row, floor)]
        cut = self._chance.randint(1, max_rows)
        self._answer()
        return Page(rows[:cut], len(rows) >= cut, self._marks(builder.shape.object_id))

    def captured(self) -> list[CapturedTable]:
        self._answer()
        self._others = {table.object_id: table.name for table in self._captured() if not is_selected(table.name)}
        return [
            CapturedTable(
                table.name,
                table.object_id,
                tuple(CapturedInstance(_mark(table, one), COLUMNS, ("Id",)) for one in table.instances),
            )
            for table in self._captured()
            if is_selected(table.name)
        ]

    def selects(self, name: str) -> bool:
        return is_selected(name)

    def others(self) -> dict[int, str]:
        return self._others

    def describe(self, object_id: int) -> SourceTable:
        self._answer()
        return SourceTable(self._live(object_id).name, 5, (), ((_KEY,),))

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> Sequence[Any] | None:
        self._answer()
        return None  # The end is that of the index.

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
        self._answer()
        live = self._live(builder.shape.object_id)
        if live.name != table.name:
            raise _invalid_object(table.name)
        rows = [(id_, id_, live.rows[id_], "n", 2) for id_ in sorted(live.rows) if not after or id_ > after[0]]
        cut = self._chance.randint(1, max_rows)
        return Chunk(rows[:cut], len(rows) < cut, datetime(2024, 3, 1))

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        raise NotImplementedError  # All tables have a key.

    def fence(self, table: SourceTable) -> AbstractContextManager[Fence]:
        raise NotImplementedError  # Snapshots are chunked.

    def _captured(self) -> list[LiveTable]:
        return [table for table in self._database.tables if table.instances]

    def _live(self, object_id: int) -> LiveTable:
        for table in self._database.tables:
            if table.object_id == object_id:
                return table
        raise _invalid_object(str(object_id))

    def _rows(self, instance: str) -> list[tuple[Any, ...]]:
        for table in self._database.tables:
            for one in table.instances:
                if one.name == instance:
                    rows = [
                        (transaction.lsn, row.order, row.selected(transaction.lsn))
                        for transaction in self._database.transactions
                        for row in transaction.rows
                        if row.table == table.object_id and one.start_lsn <= transaction.lsn <= self._database.shown
                    ]
                    return [selected for _, _, selected in sorted(rows, key=lambda row: row[:2])]
        raise _invalid_object(instance)

    def _marks(self, source: int | None = None) -> list[Watermark]:
        tables = [table for table in self._captured() if source in (None, table.object_id)]
        return [_mark(table, instance) for table in tables for instance in table.instances]


def _mark(table: LiveTable, instance: Instance) -> Watermark:
    return Watermark(instance.name, instance.object_id, table.object_id, instance.start_lsn, instance.created)


def _invalid_object(name: str) -> ReadInterrupted:
    """Error 208."""
    return ReadInterrupted("mssql.schema_changed", f"Invalid object name '{name}'.")
