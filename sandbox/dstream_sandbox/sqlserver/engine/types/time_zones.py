"""Time zones by their Windows names, as AT TIME ZONE takes them: only a few, for tests.

"AT TIME ZONE", Remarks: a time that a change to summer time skips moves on by the gap; one that occurs twice has the
offset before the change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from dstream_sandbox.sqlserver.engine.types.dates import TICKS_PER_MINUTE

ZONES = {
    "utc": "",
    "w. europe standard time": "Europe/Berlin",
    "eastern standard time": "America/New_York",
    "india standard time": "Asia/Kolkata",
}
"""The IANA names."""


def utc_ticks(local: int, zone: str) -> int:
    """Convert local ticks since year 1 to UTC."""
    offset = _time(local).replace(tzinfo=_zone(zone)).utcoffset()  # fold=0: the offset before the change
    return local - _minutes(offset) * TICKS_PER_MINUTE


def offset_at(utc: int, zone: str) -> int:
    """The zone's offset in minutes at a time in UTC ticks."""
    return _minutes(_time(utc).replace(tzinfo=UTC).astimezone(_zone(zone)).utcoffset())


def _zone(name: str) -> tzinfo:
    return ZoneInfo(ZONES[name]) if ZONES[name] else UTC


def _time(ticks: int) -> datetime:
    return datetime(1, 1, 1) + timedelta(microseconds=ticks // 10)


def _minutes(offset: timedelta | None) -> int:
    return int((offset or timedelta()).total_seconds()) // 60
