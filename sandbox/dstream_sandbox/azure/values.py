"""Values of properties: what is unknown yet, and when two are the same to Azure.

Equal are durations of the same length (PT1M, PT60S), numbers of the same value, locations without regard to spaces
and case (azure-native, provider/pkg/provider/diff.go, normalizedLocation), sets in any order, and an absent value and
its default: ARM's PUT takes the one for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from dstream_sandbox.azure.resource_types import Property
from dstream_sandbox.servicebus.admin.durations import parse_duration

__all__ = ["UNKNOWN", "effective", "has_unknown", "same", "seconds_of"]


class _Unknown:
    """What another resource will tell once it is made."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


def has_unknown(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(each) for each in value.values())
    if isinstance(value, list):
        return any(has_unknown(each) for each in value)
    return value is UNKNOWN


def seconds_of(text: str) -> float:
    """Raises ValueError."""
    return parse_duration(text)


def effective(known: Property, value: object, siblings: Mapping[str, object]) -> object:
    """What Azure takes: the default for what is absent."""
    if value is not None:
        return value
    return siblings.get(known.default_of) if known.default_of else known.default


def same(known: Property, left: object, right: object) -> bool:
    """Whether both, each with its defaults, mean the same."""
    if UNKNOWN in (left, right):
        return False
    if known.kind == "object":
        one, other = _with_defaults(known, left), _with_defaults(known, right)
        return all(
            same(each, effective(each, one.get(each.name), one), effective(each, other.get(each.name), other))
            for each in known.properties
        )
    if left is None or right is None:
        return _empty(left) and _empty(right)
    if has_unknown(left) or has_unknown(right):
        return False
    return _normal(known, left) == _normal(known, right)


def _normal(known: Property, value: Any) -> object:
    if known.kind == "duration":
        try:
            return seconds_of(str(value))
        except ValueError:
            return value
    if known.kind == "location":
        return str(value).replace(" ", "").lower()
    if known.kind == "texts" and isinstance(value, list):
        return sorted(str(each) for each in value)
    return value


def _with_defaults(known: Property, value: object) -> Mapping[str, object]:
    """Of an object; those that depend on a sibling come afterwards."""
    given = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
    return {each.name: each.default if given.get(each.name) is None else given[each.name] for each in known.properties}


def _empty(value: object) -> bool:
    return value is None or value in ("", {}, [])
