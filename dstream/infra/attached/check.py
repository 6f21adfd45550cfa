"""Checks a resource's settings against its properties. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dstream.infra.attached.diff import inside
from dstream.infra.attached.types import Kind, Property, Unknown, Values
from dstream.infra.attached.values import seconds_of

_EXPECTED: dict[Kind, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "duration": "an ISO 8601 duration, e.g. PT1M30S",
    "object": "an object",
    "map": "a map",
    "list": "a list",
}


def problems(properties: Mapping[str, Property], values: Values, within: str = "") -> Iterator[tuple[str, str]]:
    """Yield the property path and the reason of each problem."""
    for name, value in values.items():
        path = inside(within, name)
        if name not in properties:
            yield path, f"is unknown; known properties: {', '.join(sorted(properties))}"
        else:
            yield from _problems(properties[name], value, path)
    for name, known in properties.items():
        if known.required and values.get(name) is None:
            yield inside(within, name), "is required"


def _problems(known: Property, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Unknown):
        return
    if not _fits(known.kind, value):
        yield path, f"must be {_EXPECTED[known.kind]}, not {_shown(value)}"
        return
    if known.choices and value not in known.choices:
        yield path, f"must be one of {', '.join(known.choices)}, not {_shown(value)}"
    if known.required and value == "":
        yield path, "must not be empty"
    if known.kind == "object":
        yield from problems(known.fields, value, path)
    if known.kind in ("integer", "number", "duration"):
        yield from _out_of_range(known, value, path)


def _out_of_range(known: Property, value: Any, path: str) -> Iterator[tuple[str, str]]:
    amount = seconds_of(value) if known.kind == "duration" else value
    unit = " seconds" if known.kind == "duration" else ""
    if known.minimum is not None and amount < known.minimum:
        yield path, f"must be at least {known.minimum:,g}{unit}, not {value}"
    if known.maximum is not None and amount > known.maximum:
        yield path, f"must be at most {known.maximum:,g}{unit}, not {value}"


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "duration":
            return isinstance(value, str) and _is_duration(value)
        case "object" | "map":
            return isinstance(value, Mapping)
        case "list":
            return isinstance(value, list)


def _is_duration(text: str) -> bool:
    try:
        seconds_of(text)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
