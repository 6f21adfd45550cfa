"""Functions of lists, sets and objects. Names and behavior follow Terraform. A set is a sorted list without
duplicates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.sensitive import marked, opened
from dstream.config.values.unify import NotUnifiable, as_set, unified, without_duplicates
from dstream.config.values.values import Value, equal, kind

_MOST_PRODUCTS = 100_000
"""Three lists of a few hundred elements would fill memory."""


def _length(value: Value) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise CallFailed(f"argument 1 must be a string, a list or an object, not {kind(value)}", 0)


def _contains(items: list[Value], wanted: Value) -> bool:
    return any(equal(item, wanted) for item in items)


def _index(items: list[Value], wanted: Value) -> int:
    for position, item in enumerate(items):
        if equal(item, wanted):
            return position
    raise CallFailed("the list does not contain this value", 1)


def _element(items: list[Value], index: int) -> Value:
    """Return an item by its index, which wraps around."""
    if not items:
        raise CallFailed("the list is empty", 0)
    value: Value = items[index % len(items)]
    return value


def _slice(items: list[Value], start: int, end: int) -> list[Value]:
    if not 0 <= start <= len(items):
        raise CallFailed(f"the start must be between 0 and {len(items)}", 1)
    if not start <= end <= len(items):
        raise CallFailed(f"the end must be between {start} and {len(items)}", 2)
    return items[start:end]


def _flatten(items: list[Value]) -> list[Value]:
    return list(_flat(items))


def _flat(items: list[Value]) -> Iterator[Value]:
    for item in items:
        inner, mark = opened(item)
        if isinstance(inner, list):
            yield from (marked(each, mark) for each in _flat(inner))
        else:
            yield item


def _sort(items: list[str | None]) -> list[str]:
    return sorted(_without_null(items))


def _without_null(items: Sequence[str | None]) -> list[str]:
    if any(item is None for item in items):
        raise CallFailed("the list must not contain null", 0)
    return [item for item in items if item is not None]


def _chunklist(items: list[Value], size: int) -> list[list[Value]]:
    if size < 0:
        raise CallFailed("the size must not be negative", 1)
    step = size or max(len(items), 1)
    return [items[start : start + step] for start in range(0, len(items), step)]


def _coalesce(*values: Value) -> Value:
    """Return the first value that is neither null nor an empty string, converted to the type that all have in common. A
    null among them has no type, so then nothing is converted."""
    try:
        common = values if None in values else unified(values)
    except NotUnifiable as error:
        raise CallFailed(f"all arguments must have the same type, not {error}") from None
    found = next((value for value in common if value is not None and value != ""), None)
    if found is None:
        raise CallFailed("all arguments are null or empty")
    return found


def _coalescelist(*lists: list[Value]) -> list[Value]:
    found = next((items for items in lists if items), None)
    if found is None:
        raise CallFailed("all lists are empty")
    return found


def _one(items: list[Value]) -> Value:
    if len(items) > 1:
        raise CallFailed(f"the list must have at most one element, not {len(items)}", 0)
    value: Value = items[0] if items else None
    return value


def _alltrue(items: list[bool | None]) -> bool:
    return all(items)


def _anytrue(items: list[bool | None]) -> bool:
    return any(items)


def _setunion(*sets: list[Value]) -> list[Value]:
    return _union(_same_type(sets))


def _setintersection(first: list[Value], *others: list[Value]) -> list[Value]:
    common, *rest = _same_type((first, *others))
    return [value for value in common if all(_contains(each, value) for each in rest)]


def _setsubtract(first: list[Value], second: list[Value]) -> list[Value]:
    common, removed = _same_type((first, second))
    return [value for value in common if not _contains(removed, value)]


def _same_type(sets: Sequence[list[Value]]) -> list[list[Value]]:
    """Return the sets with all elements converted to one type."""
    try:
        items = iter(unified([item for each in sets for item in each]))
        return [as_set(list(itertools.islice(items, len(each)))) for each in sets]
    except NotUnifiable as error:
        raise CallFailed(f"all elements must have the same type, not {error}") from None


def _union(sets: Sequence[list[Value]]) -> list[Value]:
    return as_set([item for each in sets for item in each])


def _setproduct(*lists: list[Value]) -> list[list[Value]]:
    """Return all combinations. The elements of each list get one type."""
    if len(lists) < 2:
        raise CallFailed("takes 2 or more lists")
    count = 1
    for items in lists:
        count *= len(items)
    if count > _MOST_PRODUCTS:
        raise CallFailed(f"more than {_MOST_PRODUCTS:,} combinations")
    return [list(combination) for combination in itertools.product(*lists)]


def _merge(*objects: dict[str, Value] | None) -> dict[str, Value]:
    merged: dict[str, Value] = {}
    for number, each in enumerate(objects):
        if each is not None and not isinstance(each, dict):
            raise CallFailed(f"argument {number + 1} must be an object, not {kind(each)}", number)
        merged.update(each or {})
    return merged


def _lookup(value: dict[str, Value], key: str, *default: Value) -> Value:
    if key in value:
        return value[key]
    if default:
        return default[0]
    raise CallFailed(f'the object has no key "{key}", and no default is given', 1)


def _zipmap(names: list[str | None], values: list[Value]) -> dict[str, Value]:
    if len(names) != len(values):
        raise CallFailed(f"{len(names)} keys but {len(values)} values", 1)
    return dict(zip(_without_null(names), values, strict=True))


def _compact(items: list[str | None]) -> list[str]:
    return [item for item in items if item]


FUNCTIONS_OF_COLLECTIONS: dict[str, Function] = {
    "alltrue": Function(_alltrue, ("flags",)),
    "anytrue": Function(_anytrue, ("flags",)),
    "chunklist": Function(_chunklist, ("unified", "whole"), moves=True),
    "coalesce": Function(_coalesce, ("any",), rest="any", moves=True),
    "coalescelist": Function(_coalescelist, ("list",), rest="list", moves=True),
    "compact": Function(_compact, ("texts",)),
    "concat": Function(lambda *lists: [item for items in lists for item in items], ("list",), rest="list", moves=True),
    "contains": Function(_contains, ("list", "any")),
    "distinct": Function(without_duplicates, ("unified",)),
    "element": Function(_element, ("list", "whole"), moves=True),
    "flatten": Function(_flatten, ("list",), moves=True),
    "index": Function(_index, ("list", "any")),
    "keys": Function(sorted, ("object",), moves=True),
    "length": Function(_length, ("any",), moves=True),
    "lookup": Function(_lookup, ("object", "text", "any"), optional=1, moves=True),
    "merge": Function(_merge, rest="any", moves=True),
    "one": Function(_one, ("list",), moves=True),
    "reverse": Function(lambda items: items[::-1], ("list",), moves=True),
    "setintersection": Function(_setintersection, ("list",), rest="list"),
    "setproduct": Function(_setproduct, ("unified",), rest="unified", moves=True),
    "setsubtract": Function(_setsubtract, ("list", "list")),
    "setunion": Function(_setunion, ("list",), rest="list"),
    "slice": Function(_slice, ("list", "whole", "whole"), moves=True),
    "sort": Function(_sort, ("texts",)),
    "values": Function(lambda value: [value[key] for key in sorted(value)], ("object",), moves=True),
    "zipmap": Function(_zipmap, ("texts", "list"), moves=True),
}
