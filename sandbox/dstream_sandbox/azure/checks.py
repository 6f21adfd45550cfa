"""Check: completes a program's inputs, and refuses invalid ones, as azure-native does before calling Azure.

Source of wording and order: azure-native, provider/pkg/provider/provider.go (applyDefaults, validateType,
validateProperty).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from dstream_sandbox.azure.resource_types import Kind, Property, ResourceType
from dstream_sandbox.azure.values import UNKNOWN, has_unknown, seconds_of

__all__ = ["AUTONAMED", "failures", "made_up_name", "with_names"]

AUTONAMED = "__createBeforeDelete"
"""Set on resources with a generated name: the replacement may be created before the original is deleted."""
_SUFFIX_LENGTH = 8
_SHOWN: dict[Kind, str] = {
    "text": "string", "duration": "string", "location": "string", "flag": "boolean", "integer": "integer",
    "number": "number", "object": "object", "nested": "object", "map": "object", "texts": "array", "objects": "array",
}  # fmt: skip


def made_up_name(urn: str, seed: bytes) -> str:
    """The resource's name in the program plus eight hex digits that depend only on the seed and the URN."""
    return f"{urn.rpartition('::')[2]}{hashlib.sha256(seed + urn.encode()).hexdigest()[:_SUFFIX_LENGTH]}"


def with_names(
    kind: ResourceType, news: Mapping[str, object], olds: Mapping[str, object], made_up: str | None
) -> dict[str, object]:
    """The inputs with the API version and, if the program sets no name, the existing one or `made_up`."""
    inputs = {"azureApiVersion": kind.api_version, **news}
    own = kind.own_name
    if own is None or inputs.get(own) is not None:
        return inputs
    if own in olds:
        inputs[own] = olds[own]
        if AUTONAMED in olds:
            inputs[AUTONAMED] = olds[AUTONAMED]
    elif made_up is not None:
        inputs[own], inputs[AUTONAMED] = made_up, True
    return inputs


def failures(kind: ResourceType, inputs: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Invalid properties, each with the reason."""
    for part in kind.parts:
        value = inputs.get(part.name)
        if value is None:
            yield part.name, f"missing required property '{part.name}'"
        elif isinstance(value, str):
            yield from ((part.name, why) for why in _length(part.name, value, part.min_length, part.max_length))
        elif value is not UNKNOWN:
            yield part.name, f"'{part.name}' should be of type 'string' but got {_article(value)}"
    yield from _missing("", kind.properties, inputs)
    for each in kind.properties:
        if inputs.get(each.name) is not None:
            yield from _property(each.name, each, inputs[each.name])
    for name in kind.not_emulated:
        if inputs.get(name) not in (None, False):
            yield name, f"the sandbox does not emulate '{name}' of {kind.token}"
    known = {*(part.name for part in kind.parts), *(each.name for each in kind.properties), *kind.not_emulated}
    for name in sorted({*inputs} - known - {"azureApiVersion", AUTONAMED}):
        yield name, f"unknown property '{name}' of {kind.token}"


def _missing(base: str, properties: tuple[Property, ...], values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for each in properties:
        if each.required and values.get(each.name) is None:
            path = f"{base}{each.name}"
            why = f"missing required property '{path}'"
            if path == "location":
                why += (
                    ". Either set it explicitly or configure it with 'pulumi config set azure-native:location <value>'."
                )
            yield path, why


def _property(path: str, known: Property, value: Any) -> Iterator[tuple[str, str]]:
    if value is UNKNOWN:
        return
    if not _fits(known, value):
        yield path, f"'{path}' should be of type '{_SHOWN[known.kind]}' but got {_article(value)}"
    elif known.kind == "object":
        yield from _missing(f"{path}.", known.properties, value)
        for each in known.properties:
            if value.get(each.name) is not None:
                yield from _property(f"{path}.{each.name}", each, value[each.name])
    elif known.kind == "integer" and value != int(value):
        yield path, f"'{path}' must be an integer but got {value:f}"
    elif known.kind == "duration":
        try:
            seconds_of(value)
        except ValueError:
            # The service itself would refuse it later.
            yield path, f"'{path}' is not an ISO 8601 time span: '{value}'"
    elif known.choices and not has_unknown(value):
        given = value if isinstance(value, list) else [value]
        for wrong in (each for each in given if each not in known.choices):
            yield path, f"'{path}' must be one of {', '.join(known.choices)}, not '{wrong}'"


def _fits(known: Property, value: object) -> bool:
    if known.kind in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if known.kind == "flag":
        return isinstance(value, bool)
    if known.kind in ("object", "nested", "map"):
        return isinstance(value, Mapping)
    if known.kind in ("texts", "objects"):
        return isinstance(value, list)
    return isinstance(value, str)


def _length(path: str, value: str, low: int, high: int) -> Iterator[str]:
    if len(value) < low:
        yield f"'{path}' is too short ({len(value)}): at least {low} characters required"
    if len(value) > high:
        yield f"'{path}' is too long ({len(value)}): at most {high} characters allowed"


def _article(value: object) -> str:
    names: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "a boolean"), (str, "a string"), ((int, float), "a number"), (list, "an array"),
    ]  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "an object")
