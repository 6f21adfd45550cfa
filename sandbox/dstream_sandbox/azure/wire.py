"""Converts properties of the engine's protocol: protobuf Structs that encode unknown values and secrets.

Encodings: pulumi, sdk/go/common/resource/plugin/rpc.go and properties.go (UnknownStringValue, SigKey, SecretSig).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value  # type: ignore[import-untyped]  # ships no types

from dstream_sandbox.azure.values import UNKNOWN

__all__ = ["from_struct", "to_struct"]

_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN = frozenset(
    (
        _UNKNOWN_TEXT,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    )
)
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def from_struct(struct: Struct) -> dict[str, Any]:
    """Omits nulls, as azure-native does, and replaces a secret by its value."""
    return {name: value for name, each in struct.fields.items() if (value := _from(each)) is not None}


def to_struct(values: Mapping[str, object]) -> Struct:
    struct = Struct()
    for name, value in values.items():
        if value is not None:
            struct.fields[name].CopyFrom(_to(value))
    return struct


def _from(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _from_object(value.struct_value)
    if kind == "list_value":
        return [_from(each) for each in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def _from_object(struct: Struct) -> Any:
    signature = struct.fields[_SIGNATURE].string_value if _SIGNATURE in struct.fields else None
    if signature in (_SECRET, _OUTPUT):
        return _from(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
    return from_struct(struct)


def _to(value: Any) -> Value:
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int | float):
        return Value(number_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, Mapping):
        return Value(struct_value=to_struct(value))
    if isinstance(value, list | tuple):
        made = Value()
        made.list_value.values.extend(_to(each) for each in value)
        return made
    if value is UNKNOWN:
        return Value(string_value=_UNKNOWN_TEXT)
    raise TypeError(f"{type(value).__name__} is not a valid property type")
