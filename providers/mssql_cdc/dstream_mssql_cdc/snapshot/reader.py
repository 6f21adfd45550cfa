"""Reads the rows of the tables that need a snapshot, one chunk at a time. Pure except for its SnapshotSource.

Resumable: `step` reads one chunk after the bound in the table's state and yields its checkpoint last. A table without
a key that can be sent back (keys.py), and every table if `is_fenced`, is read in one step, which starts over after an
interruption.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from dstream.sdk import Checkpoint, Lines, Stop
from dstream_mssql_cdc.position import ZERO_LSN
from dstream_mssql_cdc.records.events import ChangeEvent, EventBuilder, Metadata
from dstream_mssql_cdc.records.lines import LineEncoder
from dstream_mssql_cdc.snapshot import keys, plan, statements
from dstream_mssql_cdc.snapshot.keys import KeyColumn
from dstream_mssql_cdc.snapshot.source import SnapshotSource, SourceRow, SourceTable, TableRows
from dstream_mssql_cdc.state import Table

_NO_SEQVAL = ZERO_LSN.hex()
_DIGEST_CHARS = 32

Save = Callable[[Table], Checkpoint]
"""Records a table's new state and returns the checkpoint to yield."""


@dataclass(frozen=True, slots=True)
class SnapshotProgress:
    """`rows` have been read of about `expected`, `new_rows` of them in the last step."""

    table: str
    id: str
    rows: int
    new_rows: int
    expected: int
    is_keyed: bool
    is_done: bool = False


Report = Callable[[SnapshotProgress], None]


class SnapshotReader:
    """Reads the snapshots of one run."""

    def __init__(
        self, lines: LineEncoder, max_rows: int, max_bytes: int, *, is_fenced: bool, new_id: plan.NewId, report: Report
    ) -> None:
        self._lines = lines
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._is_fenced = is_fenced
        self._new_id = new_id
        self._report = report
        self._described: dict[int, SourceTable] = {}

    def forget(self) -> None:
        """Describe the tables again: they may have changed."""
        self._described.clear()

    def step(
        self, source: SnapshotSource, table: Table, builder: EventBuilder, save: Save, stop: Stop
    ) -> Iterator[Lines | Checkpoint]:
        """Read the next chunk of a table, or all of it in one pass. Raises the errors of the source, and DataError."""
        described = self._described.get(table.object_id)
        if described is None:
            described = self._described[table.object_id] = source.describe(table.object_id)
        key = key_of(described, builder)
        if self._is_fenced:
            with source.fence(described) as fence:
                table = plan.fenced(table, fence.lsn, self._new_id)
                yield from self._pass(fence, described, bool(key), table, builder, save, stop)
        elif key:
            yield from self._chunk(source, described, key, table, builder, save)
        else:
            table = plan.started_over(table, self._new_id)
            yield from self._pass(source, described, False, table, builder, save, stop)

    def _chunk(
        self,
        source: SnapshotSource,
        described: SourceTable,
        key: Sequence[KeyColumn],
        table: Table,
        builder: EventBuilder,
        save: Save,
    ) -> Iterator[Lines | Checkpoint]:
        order = statements.order_of(key)
        assert table.snapshot is not None
        if table.snapshot.order not in ((), order):
            table = plan.started_over(table, self._new_id)
        assert table.snapshot is not None
        if table.snapshot.up_to is None:
            end = source.last_key(described, key)
            table = plan.bounded(table, order, None if end is None else keys.stored(key, end))
        assert table.snapshot is not None
        max_rows = max(1, min(self._max_rows, self._max_bytes // builder.row_bytes))
        after, up_to = table.snapshot.after, table.snapshot.up_to
        chunk = source.chunk(described, key, builder, after, up_to, max_rows, self._max_bytes)
        yield from self._lines.lines(_events(table, builder, chunk.rows, bound_columns=len(key)))
        count = len(chunk.rows)
        rows = table.snapshot.rows + count
        self._report(
            SnapshotProgress(builder.shape.name, table.snapshot.id, rows, count, described.rows, True, chunk.is_last)
        )
        if chunk.is_last:
            yield save(plan.completed(table, chunk.now))
        else:
            after = keys.stored(key, chunk.rows[-1])
            yield save(plan.advanced(table, rows, after, chunk.now))

    def _pass(
        self,
        source: TableRows,
        described: SourceTable,
        is_keyed: bool,
        table: Table,
        builder: EventBuilder,
        save: Save,
        stop: Stop,
    ) -> Iterator[Lines | Checkpoint]:
        assert table.snapshot is not None
        yield save(table)
        name, id_, rows = builder.shape.name, table.snapshot.id, 0
        for chunk in source.scan(described, builder, self._max_rows, self._max_bytes):
            numbers_from = None if is_keyed else rows + 1
            yield from self._lines.lines(_events(table, builder, chunk.rows, numbers_from=numbers_from))
            rows += len(chunk.rows)
            self._report(SnapshotProgress(name, id_, rows, len(chunk.rows), described.rows, False, chunk.is_last))
            if chunk.is_last:
                yield save(plan.completed_fenced(table) if self._is_fenced else plan.completed(table, chunk.now))
            elif stop.is_set():
                return


def key_of(table: SourceTable, builder: EventBuilder) -> tuple[KeyColumn, ...]:
    """The unique index in whose order the table can be read and resumed: the one that capture uses. Empty if it has
    none, if the index was dropped, or if a key must not or cannot be stored in the checkpoint."""
    shown = {column.name: column for column in builder.shape.columns}
    for index in table.unique_indexes:
        names = [each.column.name for each in index]
        if (
            sorted(names) == sorted(builder.shape.key)
            and keys.is_resumable(index)
            and all(name in shown and shown[name].hiding is None for name in names)
        ):
            return index
    return ()


def _events(
    table: Table,
    builder: EventBuilder,
    rows: Sequence[SourceRow],
    *,
    bound_columns: int = 0,
    numbers_from: int | None = None,
) -> list[ChangeEvent]:
    """The events of rows, which are identified by their key, or by their number from `numbers_from` on."""
    assert table.snapshot is not None
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))[bound_columns:]
    values = builder.converted(columns)
    shape, snapshot = builder.shape, table.snapshot
    prefix = f"{shape.id_prefix}s{snapshot.id}/"
    if numbers_from is None:
        at = [column.name for column in shape.columns]
        ids: Iterable[str] = map(_digest, zip(*(values[at.index(name)] for name in shape.key), strict=True))
    else:
        ids = map(str, itertools.count(numbers_from))
    return [
        ChangeEvent(
            data,
            Metadata(
                1, shape.name, "Read", 0, snapshot.lsn, _NO_SEQVAL, None, None, shape.key, (), (), f"{prefix}{id_}"
            ),
        )
        for data, id_ in zip(builder.datas(values), ids, strict=False)
    ]


_encode = msgspec.json.Encoder().encode


def _digest(key: Sequence[object]) -> str:
    """A hash of the key as it is in `data`, so that it reveals no more than the event does."""
    return hashlib.sha256(_encode(key)).hexdigest()[:_DIGEST_CHARS]
