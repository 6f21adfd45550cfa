"""Functions that convert a value to a type, or mark it as secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.sensitive import revealed
from dstream.config.values.unify import NotUnifiable, as_set, unified
from dstream.config.values.values import NotConvertible, Value, concealed, kind, to_bool, to_number, to_text


def _or_null(convert: Callable[[Any], Any], wanted: str) -> Callable[[Value], Value]:
    """Return the conversion, which keeps null."""

    def converted(value: Value) -> Value:
        try:
            result: Value = None if value is None else convert(value)
        except NotConvertible as error:
            raise CallFailed(f"argument 1 must be {wanted}, not {error}", 0) from None
        except NotUnifiable as error:
            raise CallFailed(f"all elements must have the same type, not {error}", 0) from None
        return result

    return converted


def _items(value: Value) -> list[Value]:
    if isinstance(value, list):
        return value
    raise NotConvertible(kind(value))


def _to_map(value: Value) -> Value:
    if not isinstance(value, dict):
        raise NotConvertible(kind(value))
    return dict(zip(value, unified(list(value.values())), strict=True))


FUNCTIONS_OF_TYPES: dict[str, Function] = {
    "nonsensitive": Function(revealed, ("any",), reveals=True),
    "sensitive": Function(concealed, ("any",)),
    "tobool": Function(_or_null(to_bool, "true or false"), ("any",)),
    "tolist": Function(_or_null(lambda value: unified(_items(value)), "a list"), ("any",), moves=True),
    "tomap": Function(_or_null(_to_map, "an object"), ("any",), moves=True),
    "tonumber": Function(_or_null(to_number, "a number"), ("any",)),
    "toset": Function(_or_null(lambda value: as_set(_items(value)), "a list"), ("any",)),
    "tostring": Function(_or_null(to_text, "a string"), ("any",)),
}
