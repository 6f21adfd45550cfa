"""Operators on values. HCL native syntax specification, "Operations"."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

from dstream.config.values.values import NotConvertible, Value, equal, exact, kind, number, to_bool, to_number

_EXACT = Context(prec=155)
"""Decimal arithmetic, so that 0.1 + 0.2 is 0.3."""


class OperatorFailed(Exception):
    """An operation failed; the message says why."""


def unary(operator: str, operand: Value) -> Value:
    if operator == "!":
        return not _bool(operand, "!")
    return number(-_decimal(operand, "-"))


def binary(operator: str, left: Value, right: Value) -> Value:
    """Apply any operator except `&&` and `||`, which do not always evaluate their right side."""
    if operator == "==":
        return equal(left, right)
    if operator == "!=":
        return not equal(left, right)
    a, b = _decimal(left, operator), _decimal(right, operator)
    compare = _COMPARISONS.get(operator)
    if compare:
        return compare(a, b)
    if operator in "/%" and b == 0:
        raise OperatorFailed("division by zero")
    try:
        return number(_ARITHMETIC[operator](a, b))
    except (OverflowError, ArithmeticError):
        raise OperatorFailed("the result is too large") from None


def truth(value: Value, operator: str) -> bool:
    return _bool(value, operator)


def _bool(value: Value, operator: str) -> bool:
    try:
        return to_bool(value)
    except NotConvertible:
        raise OperatorFailed(f'"{operator}" needs true or false, not {kind(value)}') from None


def _decimal(value: Value, operator: str) -> Decimal:
    try:
        return exact(to_number(value))
    except NotConvertible as error:
        raise OperatorFailed(f'"{operator}" needs numbers, not {error}') from None


def _remainder(a: Decimal, b: Decimal) -> Decimal:
    """Return the remainder with the sign of the dividend, as in Terraform."""
    return _EXACT.remainder(a, b)


_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": _EXACT.add,
    "-": _EXACT.subtract,
    "*": _EXACT.multiply,
    "/": _EXACT.divide,
    "%": _remainder,
}
