"""An in-memory change log: tables, transactions, lagging capture, and the lines that a reader must produce.

`expected_lines` implements the design without any of the provider's code, as a reference for the provider.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dstream_mssql_cdc.catalog.columns import Choices, Column
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.position import Floor
from dstream_mssql_cdc.records.events import EventBuilder, TableShape
from dstream_mssql_cdc.stream.source import Page, Poll, Probe
from dstream_mssql_cdc.stream.window import Mapped

from tests.unit.mssql_cdc.live_database import GUID

COLUMNS = (Column("Id", "int", 1), Column("Name", "nvarchar", 2, length=100), Column("Note", "nvarchar", 10, length=-1))


@dataclass(frozen=True)
class Row:
    """A change row of the table with index `table`."""

    table: int
    command: int | None
    seqval: bytes
    operation: int
    mask: bytes
    values: tuple[Any, ...]

    def selected(self, lsn: bytes) -> tuple[Any, ...]:
        note = self.values[2]
        length = None if note is None else 2 * len(note)
        return (lsn, self.command, self.seqval, self.operation, self.mask, *self.values, length)

    @property
    def order(self) -> tuple[int, bytes, int]:
        return (-1 if self.command is None else self.command, self.seqval, self.operation)


@dataclass(frozen=True)
class Transaction:
    """A transaction; without rows, the one that capture writes while nothing happens. `fork`: the history it is in."""

    lsn: bytes
    rows: tuple[Row, ...]
    fork: int = 1

    @property
    def tran_id(self) -> bytes:
        return bytes([self.fork]) + self.lsn[1:] if self.rows else bytes(10)

    @property
    def commit_time(self) -> str:
        return f"2024-02-29T00:00:{self.lsn[-1] % 60:02}.{self.lsn[-1]:03}"


@dataclass
class ChangeLog:
    """A log of the tables `names`. Table i has the object id 100 - 7 * i, so ids are not in the order of names."""

    names: Sequence[str]
    transactions: list[Transaction]
    start_lsns: dict[int, bytes] = field(default_factory=dict)

    def object_id(self, table: int) -> int:
        return 100 - 7 * table

    def mark(self, table: int) -> Watermark:
        start = self.start_lsns.get(table, bytes(9) + b"\x01")
        return Watermark(f"ci{table}", 1000 + table, self.object_id(table), start, "2024-01-01T00:00:00.000")

    def captured(self) -> list[CapturedTable]:
        return [
            CapturedTable(name, self.object_id(at), (CapturedInstance(self.mark(at), COLUMNS, ("Id",)),))
            for at, name in enumerate(self.names)
        ]

    def expected_lines(self) -> list[bytes]:
        lines = []
        for transaction in sorted(self.transactions, key=lambda one: one.lsn):
            events = []
            for row in transaction.rows:
                if row.operation == 3:
                    continue
                twin = [other for other in transaction.rows if _is_before_image(other, row)]
                events.append(((*row.order, self.object_id(row.table)), row, twin[0] if twin else None))
            events.sort(key=lambda event: event[0])
            for at, (_, row, before) in enumerate(events, 1):
                lines.append(self._line(transaction, row, before, is_last=at == len(events)))
        return lines

    def _line(self, transaction: Transaction, row: Row, before: Row | None, *, is_last: bool) -> bytes:
        lsn, seqval = transaction.lsn.hex(), row.seqval.hex()
        changed, data, unchanged = [], {}, []
        for column, value in zip(COLUMNS, row.values, strict=True):
            is_changed = bool(int.from_bytes(row.mask) >> (column.ordinal - 1) & 1)
            if row.operation == 4 and is_changed:
                changed.append(column.name)
            if row.operation == 4 and column.name == "Note" and value is None and not is_changed:
                unchanged.append("Note")
            else:
                data[column.name] = value
        metadata: dict[str, Any] = {
            "V": 1,
            "TableName": self.names[row.table],
            "OperationType": {1: "Delete", 2: "Insert", 4: "Update"}[row.operation],
            "OperationID": row.operation,
            "LSN": lsn,
            "Seq": seqval,
            "CommandId": row.command,
            "CommitTime": transaction.commit_time,
            "Key": ["Id"],
            "Changed": changed,
            "Unchanged": unchanged,
            "Id": f"6f9619ff/{self.object_id(row.table)}/{lsn}/{row.command or 0}/{seqval}/{row.operation}",
        }
        if is_last:
            metadata["Last"] = True
        event: dict[str, Any] = {"data": data, "metadata": metadata}
        if before is not None:
            names = [column.name for column in COLUMNS]
            event["before"] = dict(zip(names, before.values, strict=True))
            if before.values[2] is None and not int.from_bytes(before.mask) >> 9 & 1:
                del event["before"]["Note"]
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _is_before_image(row: Row, after: Row) -> bool:
    same = (row.table, row.command, row.seqval) == (after.table, after.command, after.seqval)
    return same and row.operation == 3 and after.operation == 4


class LoggedSource:
    """The log as a Source. Each poll shows a few more transactions; a page can end anywhere."""

    def __init__(self, log: ChangeLog, seed: int = 0) -> None:
        self.log = log
        self._random = random.Random(seed)
        self._shown = 0
        self.before_answer: Callable[[], None] = lambda: None

    def show_all(self) -> None:
        """Let capture be up to date."""
        self._shown = len(self.log.transactions)

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        self.before_answer()
        self._shown = min(self._shown + self._random.randint(0, 4), len(self.log.transactions))
        shown = sorted(self.log.transactions, key=lambda one: one.lsn)[: self._shown]
        mapped = [Mapped(one.lsn, one.tran_id, one.commit_time) for one in shown if one.lsn >= from_lsn]
        return Poll(shown[-1].lsn if shown else None, datetime(2024, 3, 1), mapped[:limit], self._marks())

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        self.before_answer()
        hits = {
            at
            for at, name in enumerate(instances)
            if any(from_lsn <= row[0] <= upper for row in self.rows_of(int(name[2:])))
        }
        return Probe(frozenset(hits), self._marks())

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        self.before_answer()
        rows = [row for row in self.rows_of(int(instance[2:])) if row[0] <= upper and is_after(row, floor)]
        cut = self._random.randint(1, max_rows)
        return Page([*rows[:cut]], len(rows) >= cut, self._marks())

    def captured(self) -> list[CapturedTable]:
        self.before_answer()
        return self.log.captured()

    def selects(self, name: str) -> bool:
        return True

    def others(self) -> dict[int, str]:
        return {}

    def rows_of(self, table: int) -> list[tuple[Any, ...]]:
        rows = [
            (one.lsn, row.order, row.selected(one.lsn))
            for one in self.log.transactions
            for row in one.rows
            if row.table == table
        ]
        return [selected for _, _, selected in sorted(rows, key=lambda row: row[:2])]

    def _marks(self) -> list[Watermark]:
        return [self.log.mark(at) for at in range(len(self.log.names))]


def is_after(row: tuple[Any, ...], floor: Floor) -> bool:
    place = (row[0], -1 if row[1] is None else row[1], row[2], row[3])
    if floor.command_id is None:
        return place[:1] > (floor.lsn,)
    if floor.seqval is None:
        return place[:2] > (floor.lsn, floor.command_id)
    return place > (floor.lsn, floor.command_id, floor.seqval, floor.operation)


def builder_for(table: CapturedTable, instance: str) -> EventBuilder:
    return EventBuilder(
        TableShape(table.name, table.object_id, ["Id"], COLUMNS, f"{GUID[:8]}/{table.object_id}/", 1_000_000, Choices())
    )
