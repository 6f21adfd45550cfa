"""DATEADD, DATEDIFF, DATEPART on ticks (Microsoft Learn pages of those functions)."""

from __future__ import annotations

from datetime import date

from dstream_sandbox.sqlserver.engine.types.dates import MAX_DAYS, TICKS_PER_MINUTE
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, TICKS_PER_SECOND

_SYNONYMS = {
    "year": "yy yyyy year",
    "quarter": "qq q quarter",
    "month": "mm m month",
    "dayofyear": "dy y dayofyear",
    "day": "dd d day",
    "week": "wk ww week",
    "weekday": "dw w weekday",
    "hour": "hh hour",
    "minute": "mi n minute",
    "second": "ss s second",
    "millisecond": "ms millisecond",
    "microsecond": "mcs microsecond",
    "nanosecond": "ns nanosecond",
    "tzoffset": "tz tzoffset",
    "iso_week": "isowk isoww iso_week",
}
PARTS = {short: part for part, shorts in _SYNONYMS.items() for short in shorts.split()}
_FIXED = {
    "week": 7 * TICKS_PER_DAY,
    "day": TICKS_PER_DAY,
    "dayofyear": TICKS_PER_DAY,
    "weekday": TICKS_PER_DAY,
    "hour": 60 * TICKS_PER_MINUTE,
    "minute": TICKS_PER_MINUTE,
    "second": TICKS_PER_SECOND,
    "millisecond": TICKS_PER_SECOND // 1000,
    "microsecond": 10,
}
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_LIMIT = (MAX_DAYS + 1) * TICKS_PER_DAY


def part_named(name: str) -> str:
    """Return the full name of a date part. Raises 155."""
    part = PARTS.get(name)
    if part is None:
        raise SqlError(155, f"'{name}' is not a recognized datepart option.", severity=15)
    return part


def add(part: str, number: int, ticks: int, type_name: str) -> int:
    """Return `ticks` plus `number` parts. Raises 517 outside the years 1 to 9999."""
    if part in ("year", "quarter", "month"):
        result = _add_months(number * {"year": 12, "quarter": 3, "month": 1}[part], ticks)
    elif part == "nanosecond":
        result = ticks + (abs(number) + 50) // 100 * (1 if number >= 0 else -1)
    else:
        result = ticks + number * _FIXED[part]
    if result is None or not 0 <= result < _LIMIT:
        raise SqlError(517, f"Adding a value to a '{type_name}' column caused an overflow.")
    return result


def _add_months(months: int, ticks: int) -> int | None:
    days, of_day = divmod(ticks, TICKS_PER_DAY)
    day = date.fromordinal(days + 1)
    total = day.year * 12 + day.month - 1 + months
    year, month = divmod(total, 12)
    if not 1 <= year <= 9999:
        return None
    last = _days_in_month(year, month + 1)
    return (date(year, month + 1, min(day.day, last)).toordinal() - 1) * TICKS_PER_DAY + of_day


def _days_in_month(year: int, month: int) -> int:
    if month == 12:
        return 31
    return (date(year, month + 1, 1) - date(year, month, 1)).days


def end_of_month(days: int, months: int) -> int:
    ticks = add("month", months, days * TICKS_PER_DAY, "date")
    day = date.fromordinal(ticks // TICKS_PER_DAY + 1)
    return day.replace(day=_days_in_month(day.year, day.month)).toordinal() - 1


def difference(part: str, start: int, end: int) -> int:
    """Return the number of boundaries of `part` crossed from start to end."""
    if part in ("year", "quarter", "month"):
        a, b = (date.fromordinal(t // TICKS_PER_DAY + 1) for t in (start, end))
        if part == "year":
            return b.year - a.year
        if part == "quarter":
            return (b.year - a.year) * 4 + (b.month - 1) // 3 - (a.month - 1) // 3
        return (b.year - a.year) * 12 + b.month - a.month
    if part == "week":  # weeks begin on Sunday regardless of DATEFIRST
        return (end // TICKS_PER_DAY + 1) // 7 - (start // TICKS_PER_DAY + 1) // 7
    if part == "nanosecond":
        return (end - start) * 100
    unit = _FIXED[part]
    return end // unit - start // unit


def value(part: str, ticks: int) -> int:
    """DATEPART with DATEFIRST 7."""
    day = date.fromordinal(ticks // TICKS_PER_DAY + 1)
    of_day = ticks % TICKS_PER_DAY
    match part:
        case "year":
            return day.year
        case "quarter":
            return (day.month - 1) // 3 + 1
        case "month":
            return day.month
        case "day":
            return day.day
        case "dayofyear":
            return day.timetuple().tm_yday
        case "week":
            first = date(day.year, 1, 1)
            return (day.timetuple().tm_yday - 1 + (first.weekday() + 1) % 7) // 7 + 1
        case "iso_week":
            return day.isocalendar()[1]
        case "weekday":
            return (day.weekday() + 1) % 7 + 1
        case "hour":
            return of_day // (60 * TICKS_PER_MINUTE)
        case "minute":
            return of_day // TICKS_PER_MINUTE % 60
        case "second":
            return of_day // TICKS_PER_SECOND % 60
        case "millisecond":
            return of_day % TICKS_PER_SECOND // 10_000
        case "microsecond":
            return of_day % TICKS_PER_SECOND // 10
        case "nanosecond":
            return of_day % TICKS_PER_SECOND * 100
    raise SqlError(9810, f"The datepart {part} is not supported by date function datepart for this data type.")


def name(part: str, ticks: int) -> str:
    """DATENAME."""
    day = date.fromordinal(ticks // TICKS_PER_DAY + 1)
    if part == "month":
        return MONTH_NAMES[day.month - 1]
    if part == "weekday":
        return _DAY_NAMES[day.weekday()]
    return str(value(part, ticks))


def truncate(part: str, ticks: int) -> int:
    """DATETRUNC."""
    days = ticks // TICKS_PER_DAY
    day = date.fromordinal(days + 1)
    if part == "year":
        return (date(day.year, 1, 1).toordinal() - 1) * TICKS_PER_DAY
    if part == "quarter":
        return (date(day.year, (day.month - 1) // 3 * 3 + 1, 1).toordinal() - 1) * TICKS_PER_DAY
    if part == "month":
        return (day.replace(day=1).toordinal() - 1) * TICKS_PER_DAY
    if part == "week":
        return (days - (day.weekday() + 1) % 7) * TICKS_PER_DAY
    if part == "iso_week":
        return (days - day.weekday()) * TICKS_PER_DAY
    unit = _FIXED[part]
    return ticks // unit * unit
