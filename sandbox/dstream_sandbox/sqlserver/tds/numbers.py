"""Converts exact numbers between `decimal.Decimal` and scaled integers, without floats or rounding to 28 digits."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)

MONEY_SCALE = 4


def unscaled(value: Decimal, scale: int) -> int:
    """12.34 at scale 2 is 1234."""
    return int(_EXACT.scaleb(value, scale))


def scaled(number: int, scale: int) -> Decimal:
    """1234 at scale 2 is 12.34, with exactly that exponent."""
    return _EXACT.scaleb(Decimal(number), -scale)


def magnitude_bytes(precision: int) -> int:
    """Return how many bytes a decimal's magnitude takes, [MS-TDS] 2.2.5.5.1.6."""
    if precision <= 9:
        return 4
    if precision <= 19:
        return 8
    return 12 if precision <= 28 else 16
