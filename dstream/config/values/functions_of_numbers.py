"""Functions of numbers. Names and behavior follow Terraform."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from dstream.config.values.function_table import CallFailed, Function
from dstream.config.values.operators import OperatorFailed, binary
from dstream.config.values.values import NotConvertible, Value, exact, number, to_number

_MOST_RANGE_ITEMS = 1024
"""Terraform's limit: a longer list is a mistake that would only fill memory."""
_DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase
_SIGNED = re.compile(r"[+-]?[0-9A-Za-z]+")
_LARGEST_BASE = 62
_MOST_DIGITS = 400


def _range(*limits: int | float) -> list[int | float]:
    start, stop = (Decimal(0), exact(limits[0])) if len(limits) == 1 else (exact(limits[0]), exact(limits[1]))
    step = exact(limits[2]) if len(limits) == 3 else Decimal(1 if stop >= start else -1)
    if start == stop:
        return []
    if (stop - start) * step <= 0:
        raise CallFailed("the step must lead from the start to the limit", 2 if len(limits) == 3 else None)
    if abs((stop - start) / step) > _MOST_RANGE_ITEMS:
        raise CallFailed(f"more than {_MOST_RANGE_ITEMS} numbers")
    items: list[int | float] = []
    while (start - stop) * step < 0:
        items.append(number(start))
        start += step
    return items


def _sum(items: list[Value]) -> int | float:
    if not items:
        raise CallFailed("the list is empty", 0)
    total: Value = 0
    for item in items:
        try:
            total = binary("+", total, to_number(item))
        except (NotConvertible, OperatorFailed) as error:
            raise CallFailed(f"the list contains {error}, which is not a number", 0) from None
    return to_number(total)


def _parseint(text: Value, base: int) -> int:
    if not isinstance(text, str):
        raise CallFailed("argument 1 must be a string", 0)
    if not 2 <= base <= _LARGEST_BASE:
        raise CallFailed(f"the base must be between 2 and {_LARGEST_BASE}", 1)
    if len(text) > _MOST_DIGITS:
        raise CallFailed(f"more than {_MOST_DIGITS} digits", 0)
    value = 0
    # up to base 36, letters count the same in upper and lower case
    digits = (text.lower() if base <= 36 else text).lstrip("+-") if _SIGNED.fullmatch(text) else "?"
    for digit in digits:
        place = _DIGITS.find(digit)
        if not 0 <= place < base:
            raise CallFailed(f"not a whole number in base {base}", 0)
        value = value * base + place
    return -value if text.startswith("-") else value


def _pow(base: int | float, exponent: int | float) -> int | float:
    return _float_of(lambda: math.pow(base, exponent))


def _log(value: int | float, base: int | float) -> int | float:
    return _float_of(lambda: math.log(value) / math.log(base))


def _float_of(compute: Callable[[], float]) -> int | float:
    try:
        return number(Decimal(repr(compute())))
    except (ArithmeticError, ValueError):
        raise CallFailed("the result is not a finite number") from None


FUNCTIONS_OF_NUMBERS: dict[str, Function] = {
    "abs": Function(abs, ("number",)),
    "ceil": Function(lambda value: int(exact(value).to_integral_value(ROUND_CEILING)), ("number",)),
    "floor": Function(lambda value: int(exact(value).to_integral_value(ROUND_FLOOR)), ("number",)),
    "log": Function(_log, ("number", "number")),
    "max": Function(lambda *numbers: max(numbers), ("number",), rest="number"),
    "min": Function(lambda *numbers: min(numbers), ("number",), rest="number"),
    "parseint": Function(_parseint, ("any", "whole")),
    "pow": Function(_pow, ("number", "number")),
    "range": Function(_range, ("number", "number", "number"), optional=2),
    "signum": Function(lambda value: (value > 0) - (value < 0), ("number",)),
    "sum": Function(_sum, ("list",)),
}
