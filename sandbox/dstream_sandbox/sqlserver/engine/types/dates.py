"""Dates and times as text: parsing and CONVERT's styles (Microsoft Learn, "CAST and CONVERT (Transact-SQL)", Date and
time styles)."""

from __future__ import annotations

import re
from datetime import date

from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, TICKS_PER_SECOND

TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND
EPOCH_1900 = date(1900, 1, 1).toordinal() - 1
MAX_DAYS = date(9999, 12, 31).toordinal() - 1
MIN_DATETIME = (date(1753, 1, 1).toordinal() - 1) * TICKS_PER_DAY
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:(?:T|\s+)(.+))?$", re.IGNORECASE)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\s+(.+))?$")
_NUMERIC = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?:\s+(.+))?$")
_NAMED = re.compile(r"([A-Za-z]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})(?:\s+(.+))?$")
_DAY_NAMED = re.compile(r"(\d{1,2})[\s-]+([A-Za-z]{3,9})[\s-]+,?(\d{4})(?:\s+(.+))?$")
_TIME = re.compile(
    r"(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:[.:](\d{1,9}))?)?)?\s*([AaPp][Mm])?\s*(Z|z|[+-]\d{1,2}:\d{2})?$"
)
_COMPLETE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z?")
_DAY_MONTH_STYLES = frozenset({3, 103, 4, 104, 5, 105, 13, 113})


def conversion_failed() -> SqlError:
    return SqlError(241, "Conversion failed when converting date and/or time from character string.")


def out_of_range(source: str, target: str) -> SqlError:
    return SqlError(
        242, f"The conversion of a {source} data type to a {target} data type resulted in an out-of-range value."
    )


def parse(text: str, style: int = 0) -> tuple[int, int, int | None]:
    """Return (days, ticks of the day, offset in minutes or None). A bare time is on 1900-01-01. Raises 241."""
    stripped = text.strip()
    if not stripped:
        return EPOCH_1900, 0, None
    year = month = day = 0
    rest: str | None = None
    if match := _ISO.match(stripped) or _COMPACT.match(stripped):
        year, month, day, rest = int(match[1]), int(match[2]), int(match[3]), match[4]
    elif match := _NUMERIC.match(stripped):
        first, second = int(match[1]), int(match[2])
        day, month = (first, second) if style in _DAY_MONTH_STYLES else (second, first)
        year, rest = int(match[3]), match[4]
        if len(match[3]) == 2:
            year += 2000 if year < 50 else 1900
    elif match := _NAMED.match(stripped):
        month, day, year, rest = _month(match[1]), int(match[2]), int(match[3]), match[4]
    elif match := _DAY_NAMED.match(stripped):
        day, month, year, rest = int(match[1]), _month(match[2]), int(match[3]), match[4]
    elif _TIME.match(stripped) and (":" in stripped or stripped[-1:].lower() == "m"):
        ticks, offset = _parse_time(stripped)
        return EPOCH_1900, ticks, offset
    else:
        raise conversion_failed()
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        raise conversion_failed() from None
    ticks, offset = _parse_time(rest) if rest else (0, None)
    return days, ticks, offset


def parse_complete(text: str) -> tuple[int, int, int | None]:
    """Parse text in style 126 or 127 for datetime, which needs every element ("CAST and CONVERT", footnote on ISO 8601:
    the brackets indicate that only the fraction is optional). Raises 241."""
    if _COMPLETE.fullmatch(text) is None:
        raise conversion_failed()
    return parse(text.removesuffix("Z"))


def _month(name: str) -> int:
    number = _MONTH_NUMBERS.get(name[:3].lower())
    if number is None:
        raise conversion_failed()
    return number


def _parse_time(text: str) -> tuple[int, int | None]:
    match = _TIME.match(text.strip())
    if match is None:
        raise conversion_failed()
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    fraction = (match[4] or "").ljust(7, "0")
    ticks = int(fraction[:7] or 0) + (1 if len(fraction) > 7 and fraction[7] >= "5" else 0)
    half = (match[5] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise conversion_failed()
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise conversion_failed()
    return ((hour * 60 + minute) * 60 + second) * TICKS_PER_SECOND + ticks, _offset(match[6])


def _offset(text: str | None) -> int | None:
    if not text:
        return None
    if text in "Zz":
        return 0
    hours, minutes = text[1:].split(":")
    value = int(hours) * 60 + int(minutes)
    if value > 14 * 60 or int(minutes) > 59:
        raise conversion_failed()
    return -value if text[0] == "-" else value


def time_text(ticks: int, scale: int) -> str:
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    hours, rest = divmod(seconds, 3600)
    text = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{text}.{fraction:07d}"[: len(text) + 1 + scale] if scale else text


def offset_text(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def styled(days: int | None, ticks: int | None, scale: int, offset: int | None, style: int) -> str:
    """Format a date and/or time in one of CONVERT's styles. Raises 281 for an unknown style."""
    day = date.fromordinal((days if days is not None else EPOCH_1900) + 1)
    date_part = _date_in_style(day, style)
    time_part = _time_in_style(ticks or 0, scale, style)
    if date_part is None and time_part is None:
        raise SqlError(281, f"{style} is not a valid style number when converting from datetime to a character string.")
    zone = offset_text(offset) if offset is not None else ""
    if days is None:
        return (time_part or time_text(ticks or 0, scale)) + zone
    if ticks is None or time_part is None:
        return date_part if date_part is not None else (time_part or "")
    if date_part is None:
        return time_part
    if style in (126, 127):
        suffix = ("Z" if offset == 0 else zone) if offset is not None else ""
        return f"{date_part}T{time_part}{suffix}"
    return f"{date_part} {time_part}{' ' + zone if zone else ''}"


def _date_in_style(day: date, style: int) -> str | None:
    year, short = f"{day.year:04d}", f"{day.year % 100:02d}"
    month, number, name = f"{day.month:02d}", f"{day.day:02d}", _MONTHS[day.month - 1]
    year = short if 1 <= style <= 12 and style not in (8, 9) else year
    base = style % 100 if style >= 100 and style < 115 else style
    forms = {
        0: f"{name} {day.day:>2} {year}",
        1: f"{month}/{number}/{year}",
        2: f"{year}.{month}.{number}",
        3: f"{number}/{month}/{year}",
        4: f"{number}.{month}.{year}",
        5: f"{number}-{month}-{year}",
        6: f"{number} {name} {year}",
        7: f"{name} {number}, {year}",
        9: f"{name} {day.day:>2} {year}",
        10: f"{month}-{number}-{year}",
        11: f"{year}/{month}/{number}",
        12: f"{year}{month}{number}",
        13: f"{number} {name} {year}",
    }
    if base in forms:
        return forms[base]
    return day.isoformat() if style in (20, 21, 23, 25, 120, 121, 126, 127) else None


def _time_in_style(ticks: int, scale: int, style: int) -> str | None:
    plain, exact = time_text(ticks, 0), time_text(ticks, scale)
    hour, minute = int(plain[:2]), plain[3:5]
    twelve, half = (hour % 12 or 12), "AM" if hour < 12 else "PM"
    if style in (0, 100):
        return f"{twelve:>2}:{minute}{half}"
    if style in (9, 109):
        return f"{twelve:>2}:{exact[3:].replace('.', ':') if scale <= 3 else exact[3:]}{half}"
    if style in (8, 24, 108, 20, 120):
        return plain
    if style in (13, 14, 113, 114):
        return exact.replace(".", ":") if scale <= 3 else exact
    if style in (21, 25, 121):
        return exact
    if style in (126, 127):
        return exact if ticks % TICKS_PER_SECOND or scale > 3 else plain
    return None
