"""The lines that a reader must have written, calculated from everything that was ever committed.

Written from docs/reference/providers/mssql_cdc.md, without the reader's code. It is told what the reader was shown, at
which moment, and how far each of its checkpoints claims to have come, and then says which lines must precede that
checkpoint, byte for byte. Rows are left out only if cleanup removed them before the reader was shown them, and only if
the reader has reported a gap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.mssql_cdc.live_database import (
    AFTER,
    GUID,
    CaptureInstance,
    Change,
    ColumnType,
    Commit,
    LiveDatabase,
    LiveTable,
    Values,
)
from tests.unit.mssql_cdc.remembered import (
    PendingSnapshot,
    Place,
    ReadTable,
    Remembered,
    Segment,
    Settings,
)

_END_OF_TRANSACTION = 9
_OPERATIONS = {1: "Delete", 2: "Insert", 4: "Update"}
_OVERLAP = timedelta(seconds=5)
_ZEROS = "0" * 20


class ExpectedLines:
    """A witness of the answers of one run, which starts at the checkpoint `memory`."""

    def __init__(self, database: LiveDatabase, settings: Settings, memory: Remembered) -> None:
        self._database = database
        self._settings = settings
        self.memory = memory
        self._is_first = True
        self._marks: set[tuple[str, int]] = set()
        self._shown: set[tuple[Any, ...]] = set()
        self._rows: list[Callable[[bytes], bytes]] = []
        """Lines of rows read by snapshots, given the received line, which shows the snapshot's id."""
        self.lost: list[str] = []
        """The names of the tables that were lost in this run."""
        self.incomplete: set[int] = set()
        """The object ids of tables that were lost or not selected, or had a gap: some deletes may not be reported."""
        self.fenced_snapshots: list[PendingSnapshot] = []
        """Those that were completed in this run."""
        self.upheavals = database.upheavals
        """Those before the last look at the catalog."""
        self.must_end = False
        """Whether a table is lost that on_table_change does not allow to lose."""

    # What the reader is shown.

    def polled(self, marks: Iterable[Any]) -> None:
        assert not self.must_end, "reading goes on without a table that on_table_change does not allow to lose"
        self._marks = {(mark.instance, mark.object_id) for mark in marks}
        self._shown.clear()

    def read(self, instance: CaptureInstance | None, rows: Sequence[tuple[Any, ...]]) -> None:
        if instance is not None:
            self._shown |= {(instance, *row[:4]) for row in rows}

    def cataloged(self, tables: Sequence[LiveTable]) -> None:
        memory, settings = self.memory, self._settings
        self.upheavals = self._database.upheavals
        captured = {table.object_id: table for table in tables}
        selected = {table.object_id: table for table in tables if settings.selects(table.name)}
        is_first, self._is_first = self._is_first, False
        returning = dict(memory.left_out)
        for object_id, known in list(memory.tables.items()):
            now = captured.get(object_id)
            if is_first and object_id not in selected and not settings.selects(known.name):
                self.incomplete.add(object_id)
                del memory.tables[object_id]
            elif self._is_lost(known, now, {table.name for table in selected.values()}):
                self.must_end |= settings.on_table_change == "fail"
                name = selected[object_id].name if object_id in selected else known.name
                returning[name] = object_id
                self.lost.append(name)
                self.incomplete.add(object_id)
                del memory.tables[object_id]
            elif now:
                known.name = now.name
        for object_id, table in selected.items():
            known_table = memory.tables.get(object_id)
            if known_table is not None:
                self._continue(known_table, table)
                continue
            new = memory.tables[object_id] = self._new(table)
            has_returned = table.name in returning or object_id in returning.values()
            if settings.snapshots_new_tables or (settings.on_table_change == "resnapshot" and has_returned):
                new.snapshot = PendingSnapshot(memory.place[0])
        read = {table.name for table in memory.tables.values()}
        memory.left_out = {
            name: object_id
            for name, object_id in returning.items()
            if name not in read and object_id not in memory.tables and settings.selects(name)
        }

    def _is_lost(self, known: ReadTable, now: LiveTable | None, selected: set[str]) -> bool:
        unread = [segment for segment in known.segments if segment.to is None or segment.to > self.next_lsn]
        if any((segment.instance.name, segment.instance.object_id) not in self._marks for segment in unread):
            return True
        if now is not None and self._settings.selects(now.name):
            return False
        return (now is not None and now.name != known.name) or known.name in selected

    def _new(self, table: LiveTable) -> ReadTable:
        """It is read from the next transaction on, or from the start of its capture if that is later."""
        begin = self._next_transaction
        instances = sorted(table.instances, key=lambda instance: instance.created)
        started = [instance for instance in instances if instance.start_lsn <= begin]
        segments = [Segment(started[-1], started[-1].columns, begin)] if started else []
        for instance in instances[len(started) and instances.index(started[-1]) + 1 :]:
            self._append(segments, instance, begin)
        key = ("Id",) if table.has_key else ()
        return ReadTable(table.name, table.object_id, key, segments[0].begin, segments)

    def _continue(self, known: ReadTable, table: LiveTable) -> None:
        for instance in sorted(table.instances, key=lambda instance: instance.created):
            if instance.created > known.segments[-1].instance.created:
                self._append(known.segments, instance, self._next_transaction)
        known.segments = [one for one in known.segments if one.to is None or one.to > self.next_lsn]
        for segment in known.segments:
            segment.columns = segment.instance.columns

    @staticmethod
    def _append(segments: list[Segment], instance: CaptureInstance, begin: bytes) -> None:
        new = Segment(instance, instance.columns, max(begin, instance.start_lsn))
        if segments and new.begin <= segments[-1].begin:
            segments.pop()
        if segments:
            segments[-1].to = new.begin
        segments.append(new)

    def bounded(self, table: LiveTable, last: int | None) -> None:
        snapshot = self.memory.tables[table.object_id].snapshot
        assert snapshot is not None
        assert not snapshot.is_bounded, "the end of a snapshot does not move"
        if snapshot.is_fenced:  # and was interrupted, and continues in chunks
            snapshot = self.memory.tables[table.object_id].snapshot = PendingSnapshot(snapshot.lsn)
        snapshot.up_to = last

    def rows_read(
        self, table: LiveTable, rows: Mapping[int, Values], after: int | None, up_to: int | None, *, is_last: bool
    ) -> None:
        known = self.memory.tables[table.object_id]
        snapshot, segment = known.snapshot, known.segment_at(self.next_lsn)
        assert snapshot is not None, f"{known.name} needs no snapshot"
        assert (after, up_to) == (snapshot.after, snapshot.up_to)
        if rows and self._settings.schema_records:
            self._rows += self._schema_due(known, segment)
        for key, row in rows.items():
            snapshot.rows += 1
            digest = hashlib.sha256(f"[{key}]".encode()).hexdigest()[:32] if known.key else str(snapshot.rows)
            self._rows.append(self._row_line(known, segment, snapshot, row, digest))
        if is_last and snapshot.is_fenced:
            self.fenced_snapshots.append(snapshot)
            known.overlap, known.overlap_lsn = "", snapshot.lsn
        elif is_last:
            known.overlap = max(known.overlap, (self._database.now + _OVERLAP).isoformat(timespec="milliseconds"))
        elif known.key and not snapshot.is_fenced:
            snapshot.after, snapshot.is_bounded = max(rows), up_to is not None
        if is_last:
            known.snapshot, known.is_whole = None, not snapshot.has_gap

    def scan_begins(self, object_id: int) -> None:
        known = self.memory.tables[object_id]
        assert known.snapshot is not None, f"{known.name} needs no snapshot"
        known.snapshot = PendingSnapshot(known.snapshot.lsn)

    def fenced(self, object_id: int, lsn: bytes) -> None:
        known = self.memory.tables[object_id]
        assert known.snapshot is not None, f"{known.name} needs no snapshot"
        known.snapshot = PendingSnapshot(lsn, is_fenced=True)

    # What the reader reports.

    def gap(self, name: str, instance: str, start_lsn: bytes) -> None:
        known = self.named(name)
        known.is_whole = False
        self.incomplete.add(known.object_id)
        if known.snapshot is not None:
            known.snapshot.has_gap = True
        for segment in known.segments:
            if segment.instance.name == instance:
                assert segment.instance.start_lsn >= start_lsn > max(self.next_lsn, segment.begin), "there is no gap"
                known.lost = (*known.lost, (segment.begin, start_lsn))
                segment.begin = start_lsn
        if self._settings.on_gap == "resnapshot":
            self.snapshot_begins([name])

    @property
    def has_gap(self) -> bool:
        return any(
            segment.instance.start_lsn > max(self.next_lsn, segment.begin)
            for known in self.memory.tables.values()
            for segment in known.segments
        )

    def snapshot_begins(self, names: Iterable[str]) -> None:
        for name in names:
            self.named(name).snapshot = PendingSnapshot(self.memory.place[0])

    def named(self, name: str) -> ReadTable:
        return next(known for known in self.memory.tables.values() if known.name == name)

    # What it must have written.

    def upto(self, place: Place, received: Sequence[bytes]) -> list[bytes]:
        """The lines before a checkpoint at `place`, after those of the checkpoint before it."""
        assert place >= self.memory.place
        lines = [line(received[at] if at < len(received) else b"") for at, line in enumerate(self._rows)]
        self._rows = []
        for commit in self._database.log:
            if self.memory.place[0] <= commit.lsn <= place[0]:
                lines += self._changes(commit, place)
        self.memory.place = place
        return lines

    def _changes(self, commit: Commit, place: Place) -> Iterable[bytes]:
        wanted = [
            (known, segment, change)
            for change in sorted(commit.changes, key=lambda change: change.order)
            if (known := self.memory.tables.get(change.object_id))
            and (segment := self._read_from(known, commit, change, place))
        ]
        for at, (known, segment, change) in enumerate(wanted, 1):
            if not self.memory.place < (commit.lsn, *change.order) <= place:
                continue
            if self._settings.schema_records:
                yield from (line(b"") for line in self._schema_due(known, segment))
            yield _change_line(known, segment.columns, commit, change, is_last=at == len(wanted))

    def _read_from(self, known: ReadTable, commit: Commit, change: Change, place: Place) -> Segment | None:
        """Where the change is read; None if it is not read."""
        segment = known.segment_at(commit.lsn)
        if commit.lsn < known.first:
            return None
        where = (segment.instance, commit.lsn, change.command, change.seqval, change.operation)
        if commit.lsn >= segment.instance.start_lsn or where in self._shown:
            return segment
        is_due = self.memory.place < (commit.lsn, *change.order) <= place
        is_known = any(begin <= commit.lsn < end for begin, end in known.lost)
        assert not is_due or is_known, f"{known.name} lost {where} in silence"
        return None

    def _schema_due(self, known: ReadTable, segment: Segment) -> list[Callable[[bytes], bytes]]:
        columns = [{"name": column.name, "type": _declared(column)} for column in segment.columns]
        data = {"columns": columns, "key": list(known.key)}
        shape = _encoded([known.name, data])
        number, last = known.schema
        if shape == last:
            return []
        known.schema = (number + 1, shape)
        digest = hashlib.sha256(shape.encode()).hexdigest()[:32]
        id_ = f"schema/{number + 1}/{digest}"
        line = _line(known, data, "Schema", 0, segment.begin, id_, key=())
        return [lambda _: line]

    def _row_line(
        self, known: ReadTable, segment: Segment, snapshot: PendingSnapshot, row: Values, digest: str
    ) -> Callable[[bytes], bytes]:
        data = {column.name: row.get(column.name) for column in segment.columns}
        known = replace(known)

        def line(received: bytes) -> bytes:
            if not snapshot.id and received:
                id_ = json.loads(received)["metadata"]["Id"].split("/")[2]
                assert id_ not in self.memory.used_ids, "another snapshot had this id"
                self.memory.used_ids.add(id_)
                snapshot.id.append(id_)
            return _line(known, data, "Read", 0, snapshot.lsn, f"{''.join(snapshot.id)}/{digest}", key=known.key)

        return line

    @property
    def next_lsn(self) -> bytes:
        return self._next_transaction if self.memory.place[3] == _END_OF_TRANSACTION else self.memory.place[0]

    @property
    def _next_transaction(self) -> bytes:
        return (int.from_bytes(self.memory.place[0]) + 1).to_bytes(10)


def _may_contain(known: ReadTable, commit: Commit) -> bool:
    """Whether a snapshot of the table may contain the changes of the transaction."""
    return bool(known.snapshot) or commit.commit_time <= known.overlap or commit.lsn <= known.overlap_lsn


def _change_line(
    known: ReadTable, columns: Sequence[ColumnType], commit: Commit, change: Change, *, is_last: bool
) -> bytes:
    is_update = change.operation == AFTER
    unchanged = [c.name for c in columns if is_update and c.is_large and c.name not in change.set_columns]

    def shown(row: Values) -> Values:
        return {column.name: row.get(column.name) for column in columns if column.name not in unchanged}

    seqval = change.seqval.hex()
    metadata = {
        "Seq": seqval,
        "CommandId": change.command,
        "CommitTime": commit.commit_time,
        "Changed": [column.name for column in columns if column.name in change.set_columns],
        "Unchanged": unchanged,
        **({"Last": True} if is_last else {}),
        **({"Overlap": True} if _may_contain(known, commit) else {}),
    }
    id_ = f"{commit.lsn.hex()}/{change.command or 0}/{seqval}/{change.operation}"
    before = shown(change.before) if change.before is not None else None
    kind = _OPERATIONS[change.operation]
    return _line(known, shown(change.row), kind, change.operation, commit.lsn, id_, known.key, metadata, before)


def _line(
    known: ReadTable,
    data: Values,
    kind: str,
    operation: int,
    lsn: bytes,
    id_: str,
    key: Sequence[str],
    more: Values | None = None,
    before: Values | None = None,
) -> bytes:
    metadata: Values = {
        "V": 1,
        "TableName": known.name,
        "OperationType": kind,
        "OperationID": operation,
        "LSN": lsn.hex(),
        "Seq": _ZEROS,
        "CommandId": None,
        "CommitTime": None,
        "Key": list(key),
        "Changed": [],
        "Unchanged": [],
        "Id": f"{GUID[:8]}/{known.object_id}/{id_}",
        **(more or {}),
    }
    event = {"data": data, "metadata": metadata, **({} if before is None else {"before": before})}
    return _encoded(event).encode()


def _encoded(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _declared(column: ColumnType) -> str:
    if column.type == "int":
        return "int"
    length = column.length // 2 if column.type == "nvarchar" else column.length
    return f"{column.type}({'max' if column.is_large else length})"
