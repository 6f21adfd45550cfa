"""Which tables need a snapshot, and which changes a snapshot may already contain. Pure.

**Nothing is missing.** A snapshot begins at an LSN: the stream emits every change after it, and everything up to it was
committed before the first row is read. A row is emitted as soon as it is read, before the stream goes on, so it is
never older than a change emitted before it. Changes that it contains already may follow, in order and up to the newest,
so the last line of each key is its newest state.

**It ends**, however fast the table grows: at the last key that the table has when its first chunk is read. A row with a
later key is inserted after that, and a row whose key becomes later is captured as a delete and an insert, so the stream
has both in full.

**A replica that lags** behind the one that the stream was reading would return rows that are older than changes already
emitted. Therefore rows are read only on a connection whose poll has reached the stream's position.

**A fenced snapshot** is read completely before the stream goes on, as of an LSN that is later than every change emitted
before. So it contains exactly the changes up to that LSN.

**Overlap.** A chunked snapshot may contain a change exactly if it was committed before the table's last row was read.
The LSN cannot tell: capture lags, so the highest LSN in cdc.lsn_time_mapping at that moment does not prove that there
were no later commits (flink-cdc#2853). Commit times can: tran_end_time is taken at commit, from the clock that
GETDATE() reads. Both are `datetime`, rounded to 1/300 s in the same way, but the clock may tick only every 15.6 ms, and
the time of a readable secondary is another machine's; MARGIN covers both. The bound is the latest time seen during the
snapshot, so that a clock that is set back, as when daylight saving time ends, does not lower it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from dstream_mssql_cdc.catalog.instances import Watermark
from dstream_mssql_cdc.position import ZERO_LSN
from dstream_mssql_cdc.state import KeyValue, Table, TableSnapshot

MARGIN = timedelta(seconds=5)

_ONE_PASS = ("one pass",)
"""Unlike the order of any key, whose columns are quoted."""

NewId = Callable[[], str]
"""Creates the id of a snapshot: 8 hex digits that no snapshot of the table has had."""


def random_id() -> str:
    return secrets.token_hex(4)


def known_lsn(max_lsn: bytes | None, marks: Sequence[Watermark]) -> bytes:
    """The highest LSN that the source knows. Right after capture is enabled for a table, its start_lsn is above the
    highest captured LSN (materialize#33202)."""
    return max([max_lsn or ZERO_LSN, *(mark.start_lsn for mark in marks if mark.start_lsn is not None)])


def with_snapshots(tables: Mapping[str, Table], names: Collection[str], lsn: bytes, new_id: NewId) -> dict[str, Table]:
    """The same tables, of which `names` get a new snapshot, from their first row on."""
    return {
        name: msgspec.structs.replace(table, snapshot=TableSnapshot(new_id(), lsn.hex())) if name in names else table
        for name, table in tables.items()
    }


def next_table(tables: Mapping[str, Table]) -> str | None:
    """The table whose rows are to be read next: one after the other, in the order of the checkpoint."""
    return next((name for name, table in tables.items() if table.snapshot is not None), None)


def started_over(table: Table, new_id: NewId) -> Table:
    """The table with a new snapshot id: rows that were read already come again with other ids."""
    assert table.snapshot is not None
    return msgspec.structs.replace(table, snapshot=TableSnapshot(new_id(), table.snapshot.lsn))


def bounded(table: Table, order: tuple[str, ...], up_to: tuple[KeyValue, ...] | None) -> Table:
    """The table with the end of its snapshot, in that order of the key."""
    assert table.snapshot is not None
    return msgspec.structs.replace(table, snapshot=msgspec.structs.replace(table.snapshot, order=order, up_to=up_to))


def advanced(table: Table, rows: int, after: tuple[KeyValue, ...], now: datetime) -> Table:
    """The table after a chunk up to `after`; `rows` of the snapshot have been read. `now`: the server's time then."""
    snapshot = table.snapshot
    assert snapshot is not None
    moved = msgspec.structs.replace(snapshot, after=after, rows=rows, latest=max(_text(now), snapshot.latest))
    return msgspec.structs.replace(table, snapshot=moved)


def completed(table: Table, now: datetime) -> Table:
    """The table after its last row. `now`: the server's time after reading it."""
    snapshot = table.snapshot
    assert snapshot is not None
    latest = max(_text(now), snapshot.latest)
    bound = _text(datetime.fromisoformat(latest) + MARGIN)
    return msgspec.structs.replace(table, snapshot=None, overlap=max(bound, table.overlap or ""))


def fenced(table: Table, lsn: bytes, new_id: NewId) -> Table:
    """The table with a snapshot of its rows as of `lsn`. If it is interrupted and goes on in chunks, which are of later
    moments, it starts over with another id."""
    return msgspec.structs.replace(table, snapshot=TableSnapshot(new_id(), lsn.hex(), order=_ONE_PASS))


def completed_fenced(table: Table) -> Table:
    """The table after the last row of a fenced snapshot."""
    assert table.snapshot is not None
    return msgspec.structs.replace(table, snapshot=None, overlap=None, overlap_lsn=table.snapshot.lsn)


def can_overlap(table: Table) -> bool:
    """Whether a snapshot may contain changes that the stream has not reached yet."""
    return any((table.snapshot, table.overlap, table.overlap_lsn))


def overlaps(table: Table, lsn: str, commit_time: str | None) -> bool:
    """Whether a snapshot may contain a change of the table."""
    if table.snapshot is not None or (table.overlap_lsn is not None and lsn <= table.overlap_lsn):
        return True
    return table.overlap is not None and (commit_time is None or _local(commit_time) <= table.overlap)


def without_passed(tables: Mapping[str, Table], lsn: bytes, commit_time: str) -> dict[str, Table]:
    """The tables once the stream has read everything up to `lsn`, the last of it committed at this time."""
    return {name: _without_passed(table, lsn.hex(), _local(commit_time)) for name, table in tables.items()}


def _without_passed(table: Table, lsn: str, time: str) -> Table:
    if table.overlap and time > table.overlap:
        table = msgspec.structs.replace(table, overlap=None)
    if table.overlap_lsn and lsn >= table.overlap_lsn:
        table = msgspec.structs.replace(table, overlap_lsn=None)
    return table


def _local(commit_time: str) -> str:
    """The server's local time in a CommitTime, without the offset."""
    return commit_time[:23]


def _text(time: datetime) -> str:
    """As the local time of CommitTime is written."""
    return time.isoformat(timespec="milliseconds")
