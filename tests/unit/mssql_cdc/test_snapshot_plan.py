from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime

import pytest
from dstream_mssql_cdc.config import parse_start
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.snapshot import plan
from dstream_mssql_cdc.state import Table, TableSnapshot
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Poll
from dstream_mssql_cdc.stream.start import first_state

from dstream.sdk import Stop
from tests.unit.mssql_cdc.change_log import GUID, builder_for
from tests.unit.mssql_cdc.live_tables import Killed, LiveSource, LiveTables, lsn_of

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
    assert plan.overlaps(table, commit_time) is overlaps
    if commit_time:
        assert (plan.without_passed({"t": table}, commit_time)["t"].overlap is None) is not overlaps


def test_a_clock_that_is_set_back_does_not_shorten_the_overlap() -> None:
    read = plan.advanced(PENDING, 1, (7,), ("[Id]",), datetime(2024, 10, 27, 2, 59))
    table = plan.completed(read, datetime(2024, 10, 27, 2, 1))
    assert plan.overlaps(table, "2024-10-27T02:59:00.000")


class LaggingReplica(LiveSource):
    """A secondary that has only the first three transactions."""

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        poll = super().poll(from_lsn, limit)
        mapped = [row for row in poll.mapped if row.lsn <= lsn_of(3)]
        return replace(poll, max_lsn=lsn_of(3), mapped=mapped, is_read_only=True)


def test_no_rows_are_read_from_a_replica_that_has_not_reached_the_position() -> None:
    """It would return rows that are older than changes already emitted."""
    chance = random.Random(1)
    live = LiveTables(["dbo.T0"], frozenset())
    for _ in range(5):
        live.write(chance)
    first = first_state(parse_start("snapshot"), GUID, live.log.captured(), LiveSource(live, chance, 0))
    state = first.moved(Position.end_of(lsn_of(4)), None)
    pace = PollPace(0.0, 0.0)
    lagging = ChangeStream(LaggingReplica(live, chance, 0, answers=20), state, builder_for, pace)
    with pytest.raises(Killed):
        list(lagging.lines(Stop(), until=lsn_of(3)))
    assert live.last_read == {}
    caught_up = ChangeStream(LiveSource(live, chance, 0), state, builder_for, pace)
    list(caught_up.lines(Stop(), until=lsn_of(5)))
    assert live.last_read == {"dbo.T0": 5}
