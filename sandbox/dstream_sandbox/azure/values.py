"""Property values: unknown values, and equality as in Azure.

These are equal: durations of the same length (PT1M, PT60S), numbers of the same value, locations that differ only in
spaces and case (azure-native, provider/pkg/provider/diff.go, normalizedLocation), sets in any order, and an absent
value and its default, since ARM's PUT treats both alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from dstream_sandbox.azure.resource_types import Property
from dstream_sandbox.servicebus.admin.durations import parse_duration

__all__ = ["UNKNOWN", "effective", "has_unknown", "same", "seconds_of", "without"]


class _Unknown:
    """An output of a resource that does not exist yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


def has_unknown(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(has_unknown(each) for each in value.values())
    if isinstance(value, list):
        return any(has_unknown(each) for each in value)
    return value is UNKNOWN


def without(write_only: tuple[str, str] | None, value: object) -> object:
    """The value of a property as the service returns it."""
    if write_only is None or not isinstance(value, Mapping) or write_only[0] not in value:
        return value
    listed, hidden = write_only
    kept = [{name: part for name, part in each.items() if name != hidden} for each in value[listed]]
    return {**value, listed: kept}


def seconds_of(text: str) -> float:
    """Parse a duration. Raises ValueError."""
    return parse_duration(text)


def effective(known: Property, value: object, siblings: Mapping[str, object]) -> object:
    """The value that Azure stores: the default if `value` is None."""
    if value is not None:
        return value
    return siblings.get(known.default_of) if known.default_of else known.default


def same(known: Property, left: object, right: object) -> bool:
    """Whether both are equal to Azure, with their defaults."""
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
    """The properties of an object, with defaults except those that depend on a sibling."""
    given = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
    return {each.name: each.default if given.get(each.name) is None else given[each.name] for each in known.properties}


def _empty(value: object) -> bool:
    return value is None or value in ("", {}, [])
