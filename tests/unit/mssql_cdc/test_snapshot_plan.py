from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.snapshot import plan
from dstream_mssql_cdc.snapshot.keys import KeyColumn
from dstream_mssql_cdc.snapshot.source import Chunk, SourceTable
from dstream_mssql_cdc.state import Table, TableSnapshot, load_state
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Poll

from dstream.sdk import Lines, Stop
from tests.unit.mssql_cdc.expected_lines import ExpectedLines
from tests.unit.mssql_cdc.live_database import LiveDatabase, LiveTable
from tests.unit.mssql_cdc.live_source import LiveSource, builder_of
from tests.unit.mssql_cdc.reader_history import ReaderHistory

PENDING = Table(1, (), TableSnapshot("5a", "0a"))


@pytest.mark.parametrize(
    ("commit_time", "overlaps"),
    [
        ("2024-02-29T10:00:05.000", True),
        ("2024-02-29T10:00:05.003", False),
        ("2024-02-29T10:00:05.000+02:00", True),
        ("2024-02-29T10:00:05.003-11:00", False),
        (None, True),
    ],
)
def test_changes_committed_up_to_5_seconds_after_the_last_row_overlap(commit_time: str | None, overlaps: bool) -> None:
    table = plan.completed(PENDING, datetime(2024, 2, 29, 10))
    assert plan.overlaps(table, "0b", commit_time) is overlaps
    if commit_time:
        assert (plan.without_passed({"t": table}, b"\x0b", commit_time)["t"].overlap is None) is not overlaps


def test_a_fenced_snapshot_overlaps_up_to_its_lsn() -> None:
    table = plan.completed_fenced(plan.fenced(PENDING, b"\x0c", lambda: "5b"))
    assert table.snapshot is None
    assert [plan.overlaps(table, lsn, None) for lsn in ("0b", "0c", "0d")] == [True, True, False]
    passed = [plan.without_passed({"t": table}, lsn, "2024")["t"] for lsn in (b"\x0b", b"\x0c")]
    assert [plan.can_overlap(one) for one in passed] == [True, False]


def test_a_clock_that_is_set_back_does_not_shorten_the_overlap() -> None:
    read = plan.advanced(PENDING, 1, (7,), datetime(2024, 10, 27, 2, 59))
    table = plan.completed(read, datetime(2024, 10, 27, 2, 1))
    assert plan.overlaps(table, "0b", "2024-10-27T02:59:00.000")


class LaggingReplica(LiveSource):
    """A secondary that has only the first transactions, up to `reached`."""

    reached = b""

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        poll = super().poll(from_lsn, limit)
        mapped = [row for row in poll.mapped if row.lsn <= self.reached]
        return replace(poll, max_lsn=self.reached, mapped=mapped, is_read_only=True)


def test_no_rows_are_read_from_a_replica_that_has_not_reached_the_position() -> None:
    """It would return rows that are older than changes already emitted."""
    database = LiveDatabase(random.Random(1))
    database.start()
    for _ in range(5):
        database.write()
    history = ReaderHistory(database, "snapshot")
    last = Position.end_of(database.log[-1].lsn)

    def stream(kind: type[LiveSource], stop: Stop) -> ChangeStream:
        memory = replace(history.memory.copy(), place=last)
        polls = itertools.count()
        source = kind(
            database,
            ExpectedLines(database, history.settings, memory),
            history.settings.selects,
            fails=lambda: stop.set() if next(polls) > 20 else None,
        )
        return ChangeStream(source, history.state.moved(last, None), builder_of, PollPace(0.0, 0.0))

    LaggingReplica.reached = database.log[-3].lsn
    for kind, has_lines in ((LaggingReplica, False), (LiveSource, True)):
        stop = Stop()
        assert any(isinstance(item, Lines) for item in stream(kind, stop).lines(stop)) is has_lines


class GrowingTable(LiveSource):
    """Gets three rows behind its last one whenever it is asked."""

    def last_key(self, table: SourceTable, key: Sequence[KeyColumn]) -> Sequence[Any] | None:
        last = super().last_key(table, key)
        self._grow()
        return last

    def chunk(self, *args: Any) -> Chunk:
        found = super().chunk(*args)
        self._grow()
        return found

    def _grow(self) -> None:
        rows = self._database.tables[0].rows
        rows.update({max(rows) + at: {"Id": max(rows) + at, "Name": "new"} for at in (1, 2, 3)})


def test_the_end_of_a_growing_table_survives_a_restart_after_every_chunk() -> None:
    database = LiveDatabase(random.Random(1))
    table = LiveTable("dbo.T", 5, rows={at: {"Id": at, "Name": "old"} for at in range(1, 8)})
    database.tables.append(table)
    database.enable(table)
    history = ReaderHistory(database, "snapshot")
    witness = ExpectedLines(database, history.settings, history.memory)
    source = GrowingTable(database, witness, history.settings.selects)
    state = history.state
    lines: list[bytes] = []
    for _ in range(20):
        stream = ChangeStream(source, state, builder_of, PollPace(0.0, 0.0, page_rows=2))
        for item in stream.lines(Stop(), until=bytes(10)):
            if isinstance(item, Lines):
                lines += item.data.splitlines()
            elif (stored := load_state(item.state)) and stored != state:
                state = stored
                break
    assert [json.loads(line)["data"]["Id"] for line in lines] == [*range(1, 8)]
    assert state.tables["dbo.T"].snapshot is None
