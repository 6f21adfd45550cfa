"""Python values that keep their AMQP 1.0 primitive type (OASIS AMQP 1.0, part 1, section 1.6).

A value that is decoded and encoded again keeps its type. Plain `int`, `float`, `str` and `bytes` represent long,
double, string and binary; every other primitive has a class here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Array",
    "Byte",
    "Char",
    "Decimal32",
    "Decimal64",
    "Decimal128",
    "Described",
    "Float",
    "Int",
    "MalformedValue",
    "Short",
    "Symbol",
    "Timestamp",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
]


class MalformedValue(Exception):
    """Bytes that are not a valid AMQP value, or end within one."""


class UByte(int):
    __slots__ = ()


class UShort(int):
    __slots__ = ()


class UInt(int):
    __slots__ = ()


class ULong(int):
    __slots__ = ()


class Byte(int):
    __slots__ = ()


class Short(int):
    __slots__ = ()


class Int(int):
    __slots__ = ()


class Float(float):
    """Single precision."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the epoch."""

    __slots__ = ()


class Char(str):
    __slots__ = ()


class Symbol(str):
    __slots__ = ()


class Decimal32(bytes):
    """Kept as bytes: the broker passes decimals on without calculating with them."""

    __slots__ = ()


class Decimal64(bytes):
    __slots__ = ()


class Decimal128(bytes):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Array:
    """Elements of one type; `code` is their constructor, and `descriptor` their descriptor, if any."""

    code: int
    items: tuple[object, ...]
    descriptor: object = None


@dataclass(frozen=True, slots=True)
class Described:
    descriptor: object
    value: object
