"""Tables in memory that an application changes while they are read, and a consumer that keeps a copy of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dstream_mssql_cdc.catalog.instances import CapturedTable
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.snapshot.keys import KeyColumn, SourceColumn
from dstream_mssql_cdc.snapshot.source import Chunk, SourceTable
from dstream_mssql_cdc.stream.source import Poll

from tests.unit.mssql_cdc.change_log import ChangeLog, LoggedSource, Row, Transaction

START = datetime(2024, 2, 29)
_KEY = KeyColumn(SourceColumn("Id", "int"))
_ALL_COLUMNS, _NAME_ONLY = b"\x02\x03", b"\x00\x02"


def lsn_of(number: int) -> bytes:
    return (0x2A0000000000000000 + number * 7).to_bytes(10)


@dataclass(frozen=True)
class TimedTransaction(Transaction):
    """A transaction that commits `at`."""

    at: datetime = START

    @property
    def commit_time(self) -> str:
        return self.at.isoformat(timespec="milliseconds")


@dataclass
class LiveTables:
    """The tables and their log. Tables whose index is in `without_index` have no unique index."""

    names: Sequence[str]
    without_index: frozenset[int]
    log: ChangeLog = field(init=False)
    rows: list[dict[int, tuple[str, str | None]]] = field(init=False)
    now: datetime = START
    last_read: dict[str, int] = field(default_factory=dict)
    """How many transactions were committed when a table's rows were last read."""

    def __post_init__(self) -> None:
        self.log = ChangeLog(self.names, [])
        self.rows = [{} for _ in self.names]

    def write(self, chance: Any) -> None:
        """Commit a transaction of up to three inserts, updates, deletes or changes of a key, each in any table."""
        number = len(self.log.transactions) + 1
        self.now += timedelta(seconds=chance.choice([0, 1, 4]))
        rows: list[Row] = []
        for command in range(chance.randint(0, 3)):
            rows += self._change(chance, command + 1, bytes(9) + bytes([command + 1]), f"v{number}.{command}")
        self.log.transactions.append(TimedTransaction(lsn_of(number), tuple(rows), at=self.now))

    def _change(self, chance: Any, command: int, seqval: bytes, value: str) -> list[Row]:
        table, key, other = chance.randrange(len(self.names)), chance.randint(1, 9), chance.randint(1, 9)
        rows = self.rows[table]
        old = rows.get(key)
        if old is None:
            rows[key] = (value, f"note of {value}")
            return [Row(table, command, seqval, 2, _ALL_COLUMNS, (key, *rows[key]))]
        kind = chance.choice(["update", "delete", "move"])
        if kind == "update":
            rows[key] = (value, old[1])
            images = [(3, (key, old[0], None)), (4, (key, value, None))]
            return [Row(table, command, seqval, operation, _NAME_ONLY, image) for operation, image in images]
        changed = [Row(table, command, seqval, 1, _ALL_COLUMNS, (key, *old))]
        del rows[key]
        if kind == "move" and other not in rows:
            rows[other] = old
            changed.append(Row(table, command, seqval, 2, _ALL_COLUMNS, (other, *old)))
        return changed


class Killed(Exception):
    """The reader's process ends here."""


class TablesSource(LoggedSource):
    """Reads the live tables; before each of its first `answers`, the application may commit a transaction."""

    def __init__(self, live: LiveTables, chance: Any, writes: int, answers: float = float("inf")) -> None:
        super().__init__(live.log, chance.randint(0, 10**6))
        self.live = live
        self._chance = chance
        self._writes = writes
        self._answers = answers
        self.before_answer = self._write

    def _write(self) -> None:
        if self._answers <= 0:
            raise Killed
        self._answers -= 1
        if self._writes and self._chance.random() < 0.5:
            self._writes -= 1
            self.live.write(self._chance)

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        poll = super().poll(from_lsn, limit)
        return Poll(poll.max_lsn, self.live.now, poll.mapped, poll.marks)

    def max_lsn(self) -> bytes | None:
        return self.poll(bytes(10), 1).max_lsn

    def describe(self, object_id: int) -> SourceTable:
        table = (100 - object_id) // 7
        indexes = () if table in self.live.without_index else ((_KEY,),)
        return SourceTable(self.live.names[table], object_id, 5, (), indexes)

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> Sequence[Any] | None:
        self.before_answer()
        return max(([values[0]] for values in self._selected(table.name)), default=None)

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
        self.before_answer()
        rows = [
            (values[0], *values)
            for values in self._selected(table.name)
            if (not after or values[0] > after[0]) and (not up_to or values[0] <= up_to[0])
        ]
        cut = self._chance.randint(1, max_rows)
        self._was_read(table)
        return Chunk(rows[:cut], len(rows) < cut, self.live.now)

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        self.before_answer()
        for values in self._selected(table.name):
            self._was_read(table)
            yield Chunk([values], False, datetime.min)
            self.before_answer()
        yield Chunk([], True, self.live.now)

    @contextmanager
    def fence(self, table: SourceTable) -> Iterator[LiveFence]:
        self.before_answer()
        self._was_read(table)
        yield LiveFence(self, self._selected(table.name), self.live.log.transactions[-1:])

    def _selected(self, name: str) -> list[tuple[Any, ...]]:
        rows = self.live.rows[self.live.names.index(name)]
        return [(key, *rows[key], 2 * len(rows[key][1] or "")) for key in sorted(rows)]

    def _was_read(self, table: SourceTable) -> None:
        self.live.last_read[table.name] = len(self.live.log.transactions)

    def captured(self) -> list[CapturedTable]:
        return self.log.captured()


class LiveFence:
    """The rows of a table after the last of these transactions."""

    def __init__(self, source: TablesSource, rows: list[tuple[Any, ...]], last: Sequence[Transaction]) -> None:
        self._source = source
        self._rows = rows
        self.lsn = last[0].lsn if last else bytes(10)

    def scan(self, table: SourceTable, builder: EventBuilder, max_rows: int, max_bytes: int) -> Iterator[Chunk]:
        for values in self._rows:
            yield Chunk([values], False, datetime.min)
            self._source.before_answer()
        yield Chunk([], True, self._source.live.now)


class Copy:
    """A consumer that applies lines by key, as the documentation says."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[int, dict[str, Any]]] = {}
        self._seen: dict[str, Any] = {}
        self._described: set[str] = set()

    def apply(self, line: bytes) -> None:
        event = json.loads(line)
        metadata, data = event["metadata"], event["data"]
        if metadata["OperationType"] == "Schema":
            self._described.add(metadata["TableName"])
            return
        assert metadata["TableName"] in self._described
        rows = self.tables.setdefault(metadata["TableName"], {})
        self._check_id(metadata, data)
        if metadata["OperationType"] == "Delete":
            rows.pop(data["Id"], None)
        else:
            rows[data["Id"]] = {**rows.get(data["Id"], {}), **data}

    def _check_id(self, metadata: dict[str, Any], data: dict[str, Any]) -> None:
        """One id is one row of a snapshot, or one change with the same values."""
        is_row = metadata["OperationType"] == "Read"
        what = [metadata["TableName"], data["Id"] if is_row else data]
        assert self._seen.setdefault(metadata["Id"], what) == what
