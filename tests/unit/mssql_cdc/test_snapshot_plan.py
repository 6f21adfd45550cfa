from __future__ import annotations

from datetime import datetime

import pytest
from dstream_mssql_cdc.snapshot import plan
from dstream_mssql_cdc.state import Table, TableSnapshot

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
