"""Comparison and arithmetic with message properties. None is the unknown value of SQL's three-valued logic.

An operator with an unknown operand returns unknown, and so does the comparison of values whose types cannot be
compared; arithmetic with a value that is not a number is an error.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import cast
from uuid import UUID

from dstream_sandbox.servicebus.amqp.values import Timestamp
from dstream_sandbox.servicebus.filters.errors import FilterError

__all__ = ["arithmetic", "compare", "like_pattern", "negated"]

_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": cast("Callable[[object, object], bool]", operator.lt),
    "<=": cast("Callable[[object, object], bool]", operator.le),
    ">": cast("Callable[[object, object], bool]", operator.gt),
    ">=": cast("Callable[[object, object], bool]", operator.ge),
}
_INT64 = range(-(2**63), 2**63)


def compare(symbol: str, left: object, right: object) -> bool | None:
    left, right = _comparable(left), _comparable(right)
    if left is None or right is None:
        return None
    if (isinstance(left, UUID) and isinstance(right, str)) or (isinstance(left, str) and isinstance(right, UUID)):
        left, right = str(left).lower(), str(right).lower()
    if _family(left) != _family(right):
        return None
    if isinstance(left, bool) and symbol not in ("=", "<>", "!="):
        return None
    return _COMPARISONS[symbol](left, right)


def arithmetic(symbol: str, left: object, right: object) -> object:
    """Return the result, or None if an operand is unknown. Raises FilterError."""
    if left is None or right is None:
        return None
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        return left + right
    a, b = _number(left, symbol), _number(right, symbol)
    if symbol == "+":
        return _checked(a + b)
    if symbol == "-":
        return _checked(a - b)
    if symbol == "*":
        return _checked(a * b)
    if b == 0:
        raise FilterError("Attempted to divide by zero.")
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)  # towards zero
        return quotient if symbol == "/" else a - b * quotient
    return a / b if symbol == "/" else math.fmod(a, b)


def negated(value: object) -> object:
    """Return the negated number, or None if it is unknown. Raises FilterError."""
    return None if value is None else _checked(-_number(value, "-"))


def like_pattern(pattern: str, escape: str | None) -> re.Pattern[str]:
    """Compile a LIKE pattern. Raises FilterError if `escape` is not one character, or escapes nothing."""
    if escape is not None and len(escape) != 1:
        raise FilterError("The escape of a LIKE pattern must be one character.")
    out, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        if char == escape:
            position += 1
            if position == len(pattern):
                raise FilterError("The escape character ends the LIKE pattern.")
            out += re.escape(pattern[position])
        else:
            out += {"%": ".*", "_": "."}.get(char) or re.escape(char)
        position += 1
    return re.compile(out, re.DOTALL)


def _comparable(value: object) -> object:
    if isinstance(value, datetime):
        return Timestamp(round(value.timestamp() * 1000))
    return value


def _family(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    for name, types in (
        ("time", Timestamp),
        ("number", (int, float)),
        ("text", str),
        ("octets", bytes),
        ("guid", UUID),
    ):
        if isinstance(value, types):
            return name
    return type(value).__name__


def _number(value: object, symbol: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterError(f"The operator '{symbol}' can't be applied to a value of type {_family(value)}.")
    return value


def _checked(value: int | float) -> int | float:
    if isinstance(value, int) and value not in _INT64:
        raise FilterError("Arithmetic operation resulted in an overflow.")
    return value
