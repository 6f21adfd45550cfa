"""Functions of timestamps in RFC 3339. Names and behavior follow Terraform."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dstream.config.values.function_table import CallFailed, Function

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DATE_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']")

_FORMATS: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda at: f"{at.year:04}",
    "YY": lambda at: f"{at.year % 100:02}",
    "MMMM": lambda at: calendar.month_name[at.month],
    "MMM": lambda at: calendar.month_abbr[at.month],
    "MM": lambda at: f"{at.month:02}",
    "M": lambda at: str(at.month),
    "DD": lambda at: f"{at.day:02}",
    "D": lambda at: str(at.day),
    "EEEE": lambda at: calendar.day_name[at.weekday()],
    "EEE": lambda at: calendar.day_abbr[at.weekday()],
    "hh": lambda at: f"{at.hour:02}",
    "h": lambda at: str(at.hour),
    "HH": lambda at: f"{_hour_of_12(at):02}",
    "H": lambda at: str(_hour_of_12(at)),
    "AA": lambda at: "AM" if at.hour < 12 else "PM",
    "aa": lambda at: "am" if at.hour < 12 else "pm",
    "mm": lambda at: f"{at.minute:02}",
    "m": lambda at: str(at.minute),
    "ss": lambda at: f"{at.second:02}",
    "s": lambda at: str(at.second),
    "ZZZZZ": lambda at: _offset(at, ":"),
    "ZZZZ": lambda at: _offset(at, ""),
    "ZZZ": lambda at: _offset(at, "") if at.utcoffset() else "UTC",
    "Z": lambda at: _offset(at, ":") if at.utcoffset() else "Z",
}


def rfc3339(at: datetime) -> str:
    """Return the timestamp in whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + _FORMATS["Z"](at)


def _parsed(text: str, argument: int) -> datetime:
    try:
        if _TIMESTAMP.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise CallFailed('not a timestamp such as "2026-01-31T09:30:00Z"', argument)


def _formatdate(layout: str, timestamp: str) -> str:
    at = _parsed(timestamp, 1)
    texts: list[str] = []
    position = 0
    while position < len(layout):
        token = _DATE_TOKEN.match(layout, position)
        if token is None:
            raise CallFailed("a quote is never closed", 0)
        if token[1] is not None:
            texts.append(token[1].replace("''", "'") or "'")
        elif token[2]:
            texts.append(_date_part(token[0], at))
        else:
            texts.append(token[0])
        position = token.end()
    return "".join(texts)


def _date_part(name: str, at: datetime) -> str:
    if name not in _FORMATS:
        hint = f"Put literal letters in single quotes. Known: {', '.join(_FORMATS)}."
        raise CallFailed(f'unknown part of a date "{name}"', 0, hint=hint)
    return _FORMATS[name](at)


def _hour_of_12(at: datetime) -> int:
    return at.hour % 12 or 12


def _offset(at: datetime, separator: str) -> str:
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{separator}{rest:02}"


def _timeadd(timestamp: str, duration: str) -> str:
    at = _parsed(timestamp, 0)
    if not _DURATION.fullmatch(duration):
        raise CallFailed('not a duration such as "1h30m"; the units are h, m, s, ms, us and ns', 1)
    seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(duration))
    try:
        return rfc3339(at + timedelta(seconds=-seconds if duration.startswith("-") else seconds))
    except OverflowError:
        raise CallFailed("the result is not in the years 1 to 9999", 1) from None


def _timecmp(first: str, second: str) -> int:
    a, b = _parsed(first, 0).astimezone(UTC), _parsed(second, 1).astimezone(UTC)
    return (a > b) - (a < b)


FUNCTIONS_OF_DATES: dict[str, Function] = {
    "formatdate": Function(_formatdate, ("text", "text")),
    "timeadd": Function(_timeadd, ("text", "text")),
    "timecmp": Function(_timecmp, ("text", "text")),
}
