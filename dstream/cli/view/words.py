"""How properties and their values are said to people: 'maxSizeInMegabytes: 1024' is 'max size   1 GB'. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference, Operation

MARKS: dict[Operation, str] = {
    "create": "+",
    "update": "~",
    "replace": "-/+",
    "delete": "-",
    "same": "=",
    "refresh": "~",
    "import": "<",
}
DONE: dict[Operation, str] = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
    "refresh": "refreshed",
    "import": "imported",
}

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_UNIT = re.compile(r" in (megabytes|kilobytes)$")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_FOREVER_DAYS = 10_675_199
"""TimeSpan.MaxValue of .NET, which Azure gives for 'never': P10675199DT2H48M5.4775807S."""
_FEW = 10
_UNITS = ("KB", "MB", "GB", "TB")


def kind(resource_type: str) -> str:
    """'azure-native:servicebus:AuthorizationRule' -> 'authorization rule'"""
    return words(resource_type.rpartition(":")[2])


def words(name: str) -> str:
    """'maxDeliveryCount' and 'max_delivery_count' -> 'max delivery count'; 'requiresSession' -> 'session'"""
    return _UNIT.sub("", _words(name)).removeprefix("requires ")


def value(given: Any, path: str = "") -> str:
    """A property's value, its unit taken from the property's name."""
    if given is None:
        return "none"
    if isinstance(given, bool):
        return "on" if given else "off"
    if isinstance(given, str):
        return _duration(given) or given or '""'
    unit = _UNIT.search(_words(path))
    if unit and isinstance(given, int):
        return _size(given, 1 if unit[1] == "megabytes" else 0)
    if isinstance(given, list) and all(isinstance(each, (str, int, float)) for each in given):
        return ", ".join(value(each) for each in given) or "none"
    return json.dumps(given, ensure_ascii=False)


def change(difference: Difference) -> str:
    """'10 → 5'; what is new has no old value, and what nobody sets any more no new one."""
    if difference.old is None:
        return value(difference.new, difference.path)
    if difference.new is None:
        return f"{value(difference.old, difference.path)} → unset"
    return f"{value(difference.old, difference.path)} → {value(difference.new, difference.path)}"


def loss(resource: ListedResource) -> str:
    """'holds 1,284 messages that would be lost', in the provider's words where it gives them."""
    return resource.note or (f"holds {resource.holds:,} that would be lost" if resource.holds else "")


def few(texts: Sequence[str], separator: str = ", ") -> str:
    """The first of them, and how many more there are."""
    shown = separator.join(texts[:_FEW])
    return shown if len(texts) <= _FEW else f"{shown} and {len(texts) - _FEW:,} more"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _words(name: str) -> str:
    return _WORD_BORDER.sub(" ", name).lower()


def _duration(text: str) -> str:
    """'PT1H30M' -> '1h30m'; empty for what is no ISO 8601 duration."""
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()):
        return ""
    if int(match[1] or 0) >= _FOREVER_DAYS:
        return "unlimited"
    parts = [f"{float(number):g}{unit}" for number, unit in zip(match.groups(), "dhms", strict=True) if number]
    return "".join(part for part in parts if not part.startswith("0")) or parts[-1]


def _size(number: int, unit: int) -> str:
    while number and number % 1024 == 0 and unit < len(_UNITS) - 1:
        number, unit = number // 1024, unit + 1
    return f"{number:,} {_UNITS[unit]}"
