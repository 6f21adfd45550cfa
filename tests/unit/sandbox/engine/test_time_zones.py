from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from dstream_sandbox.sqlserver.engine.types.time_zones import offset_at, utc_ticks


def ticks(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1, 1, 1)) // timedelta(microseconds=1) * 10


@pytest.mark.parametrize(
    ("local", "utc", "offset"),
    [
        ("2022-01-01T12:00", "2022-01-01T11:00", 60),
        ("2022-07-01T12:00", "2022-07-01T10:00", 120),
        ("2022-03-27T02:30", "2022-03-27T01:30", 120),  # skipped: moved on by an hour
        ("2022-10-30T02:30", "2022-10-30T00:30", 120),  # occurs twice: the offset before the change
        ("2022-10-30T03:00", "2022-10-30T02:00", 60),
    ],
)
def test_changes_of_summer_time_follow_at_time_zone(local: str, utc: str, offset: int) -> None:
    zone = "w. europe standard time"
    assert (utc_ticks(ticks(local), zone), offset_at(ticks(utc), zone)) == (ticks(utc), offset)
