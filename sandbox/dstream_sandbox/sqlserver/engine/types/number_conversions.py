"""Conversions to numbers, with SQL Server's errors for overflow and for text that is not a number."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dstream_sandbox.sqlserver.engine.types import dates, names
from dstream_sandbox.sqlserver.engine.types.storage import (
    is_big,
    pack_big,
    scale_of,
    scaled,
    unpack_big,
)
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, SqlType

Convert = Callable[[Any], Any]
"""From one stored form to another; never receives NULL. Stored forms are distinguished by their SqlType, not by
Python's types."""


LIMITS = {
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
    "money": (-(2**63), 2**63 - 1),
    "smallmoney": (-(2**31), 2**31 - 1),
}


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


_INTEGER = re.compile(r"[+-]?\s*\d+$")


def category(type_: SqlType) -> str:
    """Return the family that determines how a value is converted."""
    name = type_.name
    if name in names.INTEGERS:
        return "int"
    if name in names.DECIMALS:
        return "dec"
    if name in names.CHARACTER:
        return "str"
    if name in names.BINARY:
        return "bin"
    if name in names.TICKS:
        return "ticks"
    if name in names.MONIES:
        return "money"
    if name in names.APPROXIMATE:
        return "float"
    return name


def refused(value: Any) -> Any:  # a marker in the form of a function
    return value


def _exact(source: SqlType) -> Callable[[Any], tuple[int, int]] | None:
    """Return a function from a stored exact numeric to (scaled integer, scale)."""
    scale = scale_of(source)
    if source.name in names.INTEGERS or source.name == "bit":
        return lambda v: (v, 0)
    if is_big(source):
        return lambda v: (unpack_big(v), scale)
    if source.name in names.DECIMALS or source.name in names.MONIES:
        return lambda v: (v, scale)
    return None


def rescale(value: int, scale: int, target: int) -> int:
    """Change the scale, rounding half away from zero."""
    if target >= scale:
        return int(value * 10 ** (target - scale))
    divisor: int = 10 ** (scale - target)
    quotient, rest = divmod(abs(value), divisor)
    if rest * 2 >= divisor:
        quotient += 1
    return -quotient if value < 0 else quotient


def int_overflow(value: object, source: SqlType, target: SqlType) -> SqlError:
    if target.name in ("tinyint", "smallint") and source.name in names.INTEGERS:
        return SqlError(220, f"Arithmetic overflow error for data type {target.name}, value = {value}.")
    if source.name in names.INTEGERS:
        return SqlError(8115, f"Arithmetic overflow error converting expression to data type {target.name}.")
    return SqlError(8115, f"Arithmetic overflow error converting {_family(source)} to data type {target.name}.")


def _family(type_: SqlType) -> str:
    return "numeric" if type_.name in names.DECIMALS else "expression" if type_.name in names.INTEGERS else type_.name


def _to_int(source: SqlType, target: SqlType, style: int) -> Convert | None:
    low, high = LIMITS[target.name]
    origin = category(source)

    def fit(value: int) -> int:
        if low <= value <= high:
            return value
        raise int_overflow(value, source, target)

    if origin == "int":
        widens = LIMITS[source.name][0] >= low and LIMITS[source.name][1] <= high
        return None if widens else fit
    if origin == "bit":
        return None
    if origin in ("dec", "money"):
        read = _exact(source)
        assert read is not None

        def from_exact(value: Any) -> int:
            number, scale = read(value)
            if origin == "money":
                return fit(rescale(number, scale, 0))
            whole = abs(number) // 10**scale
            return fit(-whole if number < 0 else whole)

        return from_exact
    if origin == "float":
        return lambda v: fit(int(v))
    if origin == "str":
        return lambda v: _parse_int(v, source, target, low, high)
    if origin == "bin":
        size = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[target.name]
        return lambda v: int.from_bytes(v[-size:].rjust(size, b"\0"), "big", signed=size > 1)
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: fit((v + TICKS_PER_DAY // 2) // TICKS_PER_DAY - dates.EPOCH_1900)
    return refused


def _parse_int(text: str, source: SqlType, target: SqlType, low: int, high: int) -> int:
    stripped = text.strip()
    if not stripped:
        return 0
    if not _INTEGER.match(stripped):
        shown = text.rstrip() if source.name in ("char", "nchar") else text
        raise SqlError(
            245, f"Conversion failed when converting the {source.name} value '{shown}' to data type {target.name}."
        )
    value = int(stripped.replace(" ", ""))
    if low <= value <= high:
        return value
    if target.name == "bigint":
        raise SqlError(8115, f"Arithmetic overflow error converting expression to data type {target.name}.")
    number = {"int": 248, "smallint": 244, "tinyint": 244}[target.name]
    word = {"int": "an int", "smallint": "an INT2", "tinyint": "an INT1"}[target.name]
    tail = "." if number == 248 else ". Use a larger integer column."
    raise SqlError(number, f"The conversion of the {source.name} value '{text}' overflowed {word} column{tail}")


def _to_bit(source: SqlType, target: SqlType, style: int) -> Convert | None:
    origin = category(source)
    if origin in ("int", "float"):
        return lambda v: 1 if v else 0
    if origin in ("dec", "money"):
        read = _exact(source)
        assert read is not None
        return lambda v: 1 if read(v)[0] else 0
    if origin == "str":

        def from_text(value: str) -> int:
            word = value.strip().lower()
            if word in ("true", "false", ""):
                return 1 if word == "true" else 0
            return 1 if _parse_int(value, source, target, -(2**63), 2**63) else 0

        return from_text
    if origin == "bin":
        return lambda v: 1 if any(v) else 0
    return refused


def _to_dec(source: SqlType, target: SqlType, style: int) -> Convert | None:
    precision, scale = target.precision or 18, target.scale or 0
    limit = 10**precision
    pack: Callable[[int], Any] = pack_big if is_big(target) else int
    origin = category(source)

    def fit(value: int, family: str) -> Any:
        if -limit < value < limit:
            return pack(value)
        raise SqlError(8115, f"Arithmetic overflow error converting {family} to data type {target.name}.")

    read = _exact(source)
    if read is not None:
        same = origin == "dec" and scale_of(source) == scale and (source.precision or 18) <= precision
        if same and is_big(source) == is_big(target):
            return None
        return lambda v: fit(rescale(*read(v), scale), _family(source))
    if origin == "float":
        return lambda v: fit(scaled(Decimal(v), scale), source.name)
    if origin == "str":

        def from_text(value: str) -> Any:
            stripped = value.strip()
            match = _NUMBER.match(stripped)
            if match is None or match[2]:
                raise SqlError(8114, f"Error converting data type {source.name} to {target.name}.")
            return fit(scaled(Decimal(stripped), scale), source.name)

        return from_text
    if origin == "bin":
        return lambda v: fit(rescale(_signed(v), 0, scale), source.name)
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: fit(
            scaled(Decimal(v - dates.EPOCH_1900 * TICKS_PER_DAY) / Decimal(TICKS_PER_DAY), scale), source.name
        )
    return refused


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _to_money(source: SqlType, target: SqlType, style: int) -> Convert | None:
    low, high = LIMITS[target.name]
    origin = category(source)

    def fit(value: int) -> int:
        if low <= value <= high:
            return value
        raise SqlError(8115, f"Arithmetic overflow error converting {_family(source)} to data type {target.name}.")

    read = _exact(source)
    if read is not None:
        return lambda v: fit(rescale(*read(v), 4))
    if origin == "float":
        return lambda v: fit(scaled(Decimal(v), 4))
    if origin == "str":

        def from_text(value: str) -> int:
            stripped = re.sub(r"[\s$,€£]", "", value)
            if not stripped:
                return 0
            if not _NUMBER.match(stripped):
                raise SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.")
            return fit(scaled(Decimal(stripped), 4))

        return from_text
    if origin == "bin":
        return lambda v: fit(_signed(v[-8:]))
    return refused


def _to_float(source: SqlType, target: SqlType, style: int) -> Convert | None:
    narrow: Callable[[float], float] = _single if target.name == "real" else float
    origin = category(source)
    if origin == "float":
        return narrow if target.name == "real" else None
    if origin in ("int", "bit"):
        return narrow
    read = _exact(source)
    if read is not None:
        return lambda v: narrow(float(Decimal(read(v)[0]).scaleb(-read(v)[1])))
    if origin == "str":

        def from_text(value: str) -> float:
            stripped = value.strip()
            if stripped and not _NUMBER.match(stripped):
                raise SqlError(8114, f"Error converting data type {source.name} to {target.name}.")
            return narrow(float(stripped or 0))

        return from_text
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: (v - dates.EPOCH_1900 * TICKS_PER_DAY) / TICKS_PER_DAY
    return refused


def _single(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        raise SqlError(232, f"Arithmetic overflow error for type real, value = {value:f}.") from None
