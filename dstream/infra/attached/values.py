"""Converts property maps between protobuf structs and plain values, and compares values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value  # type: ignore[import-untyped]  # ships no types

from dstream.infra.attached.types import UNKNOWN, Property, SecretValue, Unknown, Values

# sdk/go/common/resource/plugin/rpc.go and resource/properties.go: the encoding of values that JSON lacks.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def to_values(struct: Struct) -> dict[str, Any]:
    """Return plain values. Secret marks and nulls are dropped (the engine restores marks); whole numbers are int."""
    return {name: _from(value) for name, value in struct.fields.items() if value.WhichOneof("kind") != "null_value"}


def to_struct(values: Values) -> Struct:
    """Return a struct without the values that are None."""
    return Struct(fields={name: _to(value) for name, value in values.items() if value is not None})


def seconds_of(duration: str) -> Decimal:
    """Parse an ISO 8601 duration exactly: services use more digits than a float has. Raises ValueError."""
    match = _DURATION.fullmatch(duration)
    if match is None or duration[-1] in "PT":
        raise ValueError(f'invalid duration "{duration}"; use e.g. PT1M30S')
    return sum((Decimal(part) * _SECONDS[unit] for unit, part in match.groupdict().items() if part), Decimal(0))


def same(known: Property, one: Any, other: Any) -> bool:
    """Whether the values are equal: PT60S equals PT1M, 1 equals 1.0; true does not equal 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            same(known.fields.get(name, _ANY), one[name], other[name]) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(_ANY, *pair) for pair in zip(one, other, strict=True))
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    if known.kind == "duration" and isinstance(one, str) and isinstance(other, str):
        return one == other or _moments(one) == _moments(other)
    return bool(one == other)


def is_default(known: Property, value: Any) -> bool:
    return any(same(known, value, default) for default in known.defaults)


_ANY = Property("map")
"""For values without a description."""


def _moments(duration: str) -> Decimal | str:
    try:
        return seconds_of(duration)
    except ValueError:  # recorded by hand or by an older version: compare as text
        return duration


def _from(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_from(each) for each in value.list_value.values]
        case "struct_value":
            return _from_struct(value.struct_value)
        case _:
            return None


def _from_struct(struct: Struct) -> Any:
    signature = struct.fields[_SIGNATURE].string_value if _SIGNATURE in struct.fields else ""
    if signature not in (_SECRET, _OUTPUT):
        return to_values(struct)
    return _from(struct.fields["value"]) if "value" in struct.fields else UNKNOWN


def _to(value: Any) -> Value:
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, Unknown):
        return Value(string_value=_UNKNOWN_STRING)
    if isinstance(value, SecretValue):
        return _to({_SIGNATURE: _SECRET, "value": value.value})
    if isinstance(value, Mapping):
        return Value(struct_value=to_struct(value))
    if isinstance(value, Sequence):
        return Value(list_value=ListValue(values=[_to(each) for each in value]))
    if value is None:
        return Value(null_value=NULL_VALUE)
    raise TypeError(f"{type(value).__name__} cannot be a property value")
