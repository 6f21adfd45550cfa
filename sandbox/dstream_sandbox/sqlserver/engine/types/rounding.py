"""Rounds times to what a type can hold."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.types.dates import MAX_DAYS, MIN_DATETIME, TICKS_PER_MINUTE, out_of_range
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, SqlType

_MIN_SMALL = 693595 * TICKS_PER_DAY
_MAX_SMALL = (693595 + 65535) * TICKS_PER_DAY + 24 * 60 * TICKS_PER_MINUTE - TICKS_PER_MINUTE


def to_scale(ticks: int, scale: int) -> int:
    """Round half up to `scale` digits of a second."""
    step: int = 10 ** (7 - scale)
    return (ticks + step // 2) // step * step


def to_datetime(ticks: int) -> int:
    """Round to 1/300 s (Microsoft Learn, "datetime (Transact-SQL)": .000, .003, .007)."""
    day, of_day = divmod(ticks, TICKS_PER_DAY)
    units = (of_day * 3 + 50_000) // 100_000
    return day * TICKS_PER_DAY + (units * 200_000 + 3) // 6


def round_ticks(ticks: int, type_: SqlType, source: str = "datetime2") -> int:
    """Round a point in time as `type_` (datetime, smalldatetime, datetime2) stores it. Raises 242."""
    if type_.name == "datetime2":
        rounded = to_scale(ticks, 7 if type_.scale is None else type_.scale)
        if rounded >= (MAX_DAYS + 1) * TICKS_PER_DAY:
            raise SqlError(517, "Adding a value to a 'datetime2' column caused an overflow.")
        return rounded
    if type_.name == "datetime":
        if ticks < MIN_DATETIME:
            raise out_of_range(source, "datetime")
        rounded = to_datetime(ticks)
        if rounded >= (MAX_DAYS + 1) * TICKS_PER_DAY:
            raise out_of_range(source, "datetime")
        return rounded
    rounded = (ticks + TICKS_PER_MINUTE // 2) // TICKS_PER_MINUTE * TICKS_PER_MINUTE
    if not _MIN_SMALL <= rounded <= _MAX_SMALL:
        raise out_of_range(source, "smalldatetime")
    return rounded
