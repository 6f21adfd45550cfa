"""Finds the type that several values have in common, as HCL's type unification does: numbers and bools become strings
next to a string, `[1]` and `["a"]` lists of strings, `{ a = 1 }` and `{ b = "x" }` objects of strings.

Lists, sets and tuples are one type here, and so are maps and objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dstream.config.values.sensitive import Sensitive, marked, opened
from dstream.config.values.values import Value, equal, kind, to_text


class NotUnifiable(Exception):
    """The values have no type in common. The message names two of their types."""


def unified(values: Sequence[Value]) -> list[Value]:
    """Return the values converted to their common type. Null fits any type. Raises NotUnifiable."""
    if any(isinstance(value, Sensitive) for value in values):
        inner = unified([opened(value)[0] for value in values])
        return [marked(new, opened(old)[1]) for new, old in zip(inner, values, strict=True)]
    present = [value for value in values if value is not None]
    kinds = dict.fromkeys(map(kind, present))
    if len(kinds) < 2 and not any(isinstance(value, (list, dict)) for value in present):
        return list(values)
    if all(isinstance(value, list) for value in present):
        return _lists(values)
    if all(isinstance(value, dict) for value in present):
        return _objects(values)
    if "a string" in kinds and not kinds.keys() & {"a list", "an object"}:
        return [None if value is None else to_text(value) for value in values]
    first, second, *_ = kinds
    raise NotUnifiable(f"{first} and {second}")


def as_set(values: Sequence[Value]) -> list[Value]:
    """Return the values unified, without duplicates, and sorted if they are strings, numbers or bools. Raises
    NotUnifiable."""
    unique = without_duplicates(unified(values))
    present: list[Any] = [value for value in unique if value is not None]
    if not any(isinstance(value, (list, dict)) for value in present):
        present.sort()
    return [*present, *([None] if None in unique else [])]


def without_duplicates(values: Sequence[Value]) -> list[Value]:
    """Return the values, each at its first occurrence."""
    unique: list[Value] = []
    seen: set[tuple[type, Any]] = set()
    for value in values:
        if isinstance(value, (list, dict)):
            if not any(equal(value, other) for other in unique):
                unique.append(value)
            continue
        key = (bool if isinstance(value, bool) else object, value)
        if key not in seen:
            seen.add(key)
            unique.append(value)
    return unique


def _lists(values: Sequence[Any]) -> list[Value]:
    """Lists of the same length are unified position by position, others to lists of one type."""
    present = [value for value in values if value is not None]
    lengths = {len(value) for value in present}
    if len(lengths) == 1:
        columns = [unified(column) for column in zip(*present, strict=True)]
        rows = iter([list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in present])
        return [None if value is None else next(rows) for value in values]
    items = iter(unified([item for value in present for item in value]))
    return [None if value is None else _take(items, len(value)) for value in values]


def _objects(values: Sequence[Any]) -> list[Value]:
    """Objects with the same keys are unified key by key, others to objects of one type."""
    present = [value for value in values if value is not None]
    if len({frozenset(value) for value in present}) == 1:
        columns = {key: iter(unified([value[key] for value in present])) for key in present[0]}
        return [None if value is None else {key: next(columns[key]) for key in value} for value in values]
    items = iter(unified([item for value in present for item in value.values()]))
    return [None if value is None else dict(zip(value, _take(items, len(value)), strict=True)) for value in values]


def _take(items: Iterator[Value], count: int) -> list[Value]:
    return [next(items) for _ in range(count)]
