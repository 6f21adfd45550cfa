"""Formats dates with Go's layouts, based on the reference time Mon Jan 2 15:04:05 MST 2006 (https://pkg.go.dev/time)."""

from __future__ import annotations

import re
from datetime import datetime

_STRFTIME = {
    "January": "%B",
    "Jan": "%b",
    "Monday": "%A",
    "Mon": "%a",
    "2006": "%Y",
    "01": "%m",
    "02": "%d",
    "03": "%I",
    "04": "%M",
    "05": "%S",
    "06": "%y",
    "002": "%j",
    "15": "%H",
    "PM": "%p",
    "MST": "%Z",
    "-0700": "%z",
}
_ELEMENT = re.compile(r"January|Jan|Monday|Mon|MST|2006|-07:00|-0700|Z07:00|[.,]0+|002|0[1-6]|15|PM|pm|1|2|3|4|5")


def go_date(layout: str, at: datetime) -> str:
    return _ELEMENT.sub(lambda match: _written(match[0], at), layout)


def _written(element: str, at: datetime) -> str:
    if element in _STRFTIME:
        return at.strftime(_STRFTIME[element])
    if element[0] in ".,":
        return element[0] + f"{at.microsecond:06d}".ljust(9, "0")[: len(element) - 1]
    if element in ("-07:00", "Z07:00"):
        offset = at.strftime("%z") or "+0000"
        return "Z" if element[0] == "Z" and offset == "+0000" else f"{offset[:3]}:{offset[3:5]}"
    if element == "pm":
        return at.strftime("%p").lower()
    numbers = {"1": at.month, "2": at.day, "3": at.hour % 12 or 12, "4": at.minute, "5": at.second}
    return str(numbers[element])
