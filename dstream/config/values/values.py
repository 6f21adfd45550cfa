"""The values of the language: JSON values, their conversions, and secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}
_ESCAPED_IN_JSON = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})

Value: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
"""The result of an expression. Lists and dicts contain values; sets are sorted lists without duplicates."""


class NotConvertible(Exception):
    """The value cannot be converted. The message names its type, never its content."""


class SecretText(str):
    """Text that must never be shown. `parts` are the secrets it contains, redacted wherever they occur."""

    __slots__ = ("parts",)
    parts: frozenset[str]

    @classmethod
    def of(cls, text: str, parts: Iterable[str] | None = None) -> SecretText:
        secret = cls(text)
        secret.parts = frozenset(part for part in ((text,) if parts is None else parts) if part)
        return secret

    def __repr__(self) -> str:
        return "'***'"


def secrets_in(value: Value) -> frozenset[str]:
    """Return the parts of all secrets in the value."""
    return frozenset(part for text in _texts(value) if isinstance(text, SecretText) for part in text.parts)


def without_secrets(message: str, values: Iterable[Value]) -> str:
    """Redact the secrets of `values` in a message that was built from them."""
    for part in sorted(secrets_in(list(values)), key=len, reverse=True):
        message = message.replace(part, "***")
    return message


def derived(value: Value, origins: Iterable[Value]) -> Value:
    """Return a value computed from others: if one of them is secret, all its text is secret."""
    parts = frozenset(part for origin in origins for part in secrets_in(origin))
    if not parts:
        return value
    return _map_texts(value, lambda text: SecretText.of(text, parts | {text}))


def concealed(value: Value) -> Value:
    """Return the value with its text marked secret, and its numbers as secret text, since only text can be redacted.
    Bools stay visible, and so do object keys, which are names."""
    return _map_texts(_numbers_as_text(value), SecretText.of)


def _numbers_as_text(value: Value) -> Value:
    if isinstance(value, list):
        return [_numbers_as_text(item) for item in value]
    if isinstance(value, dict):
        return {key: _numbers_as_text(item) for key, item in value.items()}
    return to_text(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def revealed(value: Value) -> Value:
    """Return the value as plain JSON for a provider. Collect its secrets first."""
    if isinstance(value, dict):
        return {_plain(key): revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    return "".join(value) if isinstance(value, SecretText) else value


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _map_texts(value: Value, change: Callable[[str], Value]) -> Value:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    return value


def kind(value: Value) -> str:
    """Return the type with its article, for messages."""
    match value:
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
