"""The values of the language: JSON values and their conversions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from dstream.config.values.sensitive import Sensitive, SensitiveMark, marked, revealed

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_ESCAPED_IN_JSON = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})

Value: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | Sensitive | None
"""The result of an expression. Lists and dicts contain values; sets are sorted lists without duplicates."""


class NotConvertible(Exception):
    """The value cannot be converted. The message names its type, never its content."""


def derived(value: Value, mark: SensitiveMark | None) -> Value:
    """Return a value computed from others with this mark: it is sensitive, and so is its text elsewhere."""
    if mark is None:
        return value
    texts = frozenset(_texts(revealed(value)))
    return marked(value, mark, SensitiveMark(secrets=texts) if mark.secrets else SensitiveMark(read=texts))  # type: ignore[no-any-return]


def concealed(value: Value) -> Value:
    """Return the value marked as secret by the author of the file."""
    return marked(value, SensitiveMark(secrets=frozenset(_texts(revealed(value)))))  # type: ignore[no-any-return]


def read_from_outside(text: str) -> Sensitive:
    """Return a text that an expression has read from this machine."""
    return Sensitive(text, SensitiveMark(read=frozenset(_texts(text))))


def _texts(value: Value) -> Iterator[str]:
    """Yield the texts and numbers in a value, but not the keys of objects, which are names."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        if text := to_text(value):
            yield text
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def kind(value: Value) -> str:
    """Return the type with its article, for messages."""
    match value:
        case Sensitive():
            return kind(value.value)
        case None:
            return "null"
        case bool():
            return "a bool"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def to_text(value: Value) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f")
        case _:
            raise NotConvertible(kind(value))


def to_number(value: Value) -> int | float:
    if isinstance(value, bool):
        raise NotConvertible(kind(value))
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        try:
            if _NUMBER.fullmatch(value):
                return number(Decimal(value))
        except (InvalidOperation, OverflowError, ValueError):
            pass
        raise NotConvertible("a string that is not a number")
    raise NotConvertible(kind(value))


def to_bool(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _BOOLS:
        return _BOOLS[value]
    raise NotConvertible(kind(value))


def exact(value: int | float) -> Decimal:
    """Return the number in decimal, so that 0.1 is 0.1."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def number(exact: Decimal) -> int | float:
    """Return a whole number as int, any other as float."""
    if not exact.is_finite():
        raise OverflowError
    if exact.adjusted() < 400 and exact == exact.to_integral_value():
        return int(exact)
    result = float(exact)
    if result in (float("inf"), float("-inf")):
        raise OverflowError
    return result


def equal(left: Value, right: Value) -> bool:
    """Compare values. Values of different types are never equal: "1" is not 1, and true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return left == right


def to_json(value: Value) -> str:
    """Return compact JSON with sorted keys. `<`, `>` and `&` are escaped, as in HCL, for use inside HTML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPED_IN_JSON)
    if isinstance(value, list):
        return f"[{','.join(map(to_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{to_json(key)}:{to_json(value[key])}' for key in sorted(value))}}}"
    return "null" if value is None else to_text(value)
