"""Encodes AMQP values, each in the shortest encoding of its type (OASIS AMQP 1.0, part 1, section 1.6)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from dstream_sandbox.servicebus.amqp.values import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Float,
    Int,
    MalformedValue,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

__all__ = ["encode", "encode_composite", "encode_into"]


def encode(value: object) -> bytes:
    out = bytearray()
    encode_into(out, value)
    return bytes(out)


def encode_into(out: bytearray, value: object) -> None:
    """Append the encoded value. Raises MalformedValue if no AMQP type can hold it."""
    encoder = _ENCODERS.get(type(value)) or _by_family(value)
    try:
        encoder(out, value)
    except struct.error as exc:
        raise MalformedValue(f"{value!r} is out of the range of {type(value).__name__}") from exc


def encode_composite(code: int, fields: Sequence[object]) -> bytes:
    """Encode a described list, without trailing nulls (section 1.4)."""
    last = len(fields)
    while last and fields[last - 1] is None:
        last -= 1
    return b"\x00\x53" + bytes((code,)) + encode(list(fields[:last]))


def _by_family(value: object) -> Callable[[bytearray, object], None]:
    """Return the encoder for a value of a Python class that is not in values.py."""
    for family, encoder in _FAMILIES:
        if isinstance(value, family):
            return encoder
    raise MalformedValue(f"AMQP has no type for {type(value).__name__}")


def _packed(code: int, fmt: str) -> Callable[[bytearray, object], None]:
    pack = struct.Struct(">B" + fmt).pack

    def encoder(out: bytearray, value: object) -> None:
        out += pack(code, value)

    return encoder


def _unsigned(code: int, fmt: str, small_code: int, zero_code: int) -> Callable[[bytearray, object], None]:
    pack = struct.Struct(">B" + fmt).pack

    def encoder(out: bytearray, value: object) -> None:
        number = cast(int, value)
        if number == 0:
            out.append(zero_code)
        elif 0 < number < 256:
            out += bytes((small_code, number))
        else:
            out += pack(code, number)

    return encoder


def _signed(code: int, fmt: str, small_code: int) -> Callable[[bytearray, object], None]:
    pack = struct.Struct(">B" + fmt).pack

    def encoder(out: bytearray, value: object) -> None:
        number = cast(int, value)
        if -128 <= number < 128:
            out += bytes((small_code, number & 0xFF))
        else:
            out += pack(code, number)

    return encoder


def _sized(out: bytearray, code: int, octets: bytes) -> None:
    """`code` is the constructor with a one-octet size; the one with four octets is 0x10 higher."""
    size = len(octets)
    if size < 256:
        out += bytes((code, size))
    else:
        out += struct.pack(">BI", code + 0x10, size)
    out += octets


def _null(out: bytearray, _value: object) -> None:
    out.append(0x40)


def _boolean(out: bytearray, value: object) -> None:
    out.append(0x41 if value else 0x42)


def _binary(out: bytearray, value: object) -> None:
    _sized(out, 0xA0, bytes(cast(bytes, value)))


def _string(out: bytearray, value: object) -> None:
    _sized(out, 0xA1, cast(str, value).encode())


def _symbol(out: bytearray, value: object) -> None:
    _sized(out, 0xA3, cast(str, value).encode("latin-1"))


def _char(out: bytearray, value: object) -> None:
    out += struct.pack(">BI", 0x73, ord(cast(str, value)))


def _octets(code: int) -> Callable[[bytearray, object], None]:
    def encoder(out: bytearray, value: object) -> None:
        out.append(code)
        out += cast(bytes, value)

    return encoder


def _uuid(out: bytearray, value: object) -> None:
    out.append(0x98)
    out += cast(UUID, value).bytes


def _datetime(out: bytearray, value: object) -> None:
    moment = cast(datetime, value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    out += struct.pack(">Bq", 0x83, round(moment.timestamp() * 1000))


def _counted(out: bytearray, code: int, count: int, body: bytes | bytearray) -> None:
    if len(body) < 255 and count < 256:
        out += bytes((code, len(body) + 1, count))
    else:
        out += struct.pack(">BII", code + 0x10, len(body) + 4, count)
    out += body


def _list(out: bytearray, value: object) -> None:
    items = cast("Sequence[object]", value)
    if not items:
        out.append(0x45)
        return
    body = bytearray()
    for item in items:
        encode_into(body, item)
    _counted(out, 0xC0, len(items), body)


def _map(out: bytearray, value: object) -> None:
    mapping = cast("Mapping[object, object]", value)
    body = bytearray()
    for key, item in mapping.items():
        encode_into(body, key)
        encode_into(body, item)
    _counted(out, 0xC1, 2 * len(mapping), body)


def _array(out: bytearray, value: object) -> None:
    array = cast(Array, value)
    body = bytearray()
    if array.descriptor is not None:
        body.append(0)
        encode_into(body, array.descriptor)
    body.append(array.code)
    element = _ARRAY_ELEMENTS.get(array.code)
    if element is None:
        raise MalformedValue(f"array of constructor {array.code:#x}")
    for item in array.items:
        element(body, item)
    _counted(out, 0xE0, len(array.items), body)


def _described(out: bytearray, value: object) -> None:
    described = cast(Described, value)
    out.append(0)
    encode_into(out, described.descriptor)
    encode_into(out, described.value)


def _bare(fmt: str) -> Callable[[bytearray, object], None]:
    pack = struct.Struct(">" + fmt).pack

    def element(out: bytearray, value: object) -> None:
        out += pack(value)

    return element


def _bare_sized(fmt: str, octets: Callable[[object], bytes]) -> Callable[[bytearray, object], None]:
    pack = struct.Struct(">" + fmt).pack

    def element(out: bytearray, value: object) -> None:
        body = octets(value)
        out += pack(len(body))
        out += body

    return element


def _bare_compound(wide: bool) -> Callable[[bytearray, object], None]:
    """Encode a list, map or array in an array, whose constructor appears only once, before all elements."""

    def element(out: bytearray, value: object) -> None:
        whole = bytearray()
        encode_into(whole, value)
        if whole[0] == 0x45:
            count, body = 0, whole[1:]
        elif whole[0] in (0xC0, 0xC1, 0xE0):
            count, body = whole[2], whole[3:]
        else:
            count, body = struct.unpack_from(">I", whole, 5)[0], whole[9:]
        out += struct.pack(">II", len(body) + 4, count) if wide else struct.pack(">BB", len(body) + 1, count)
        out += body

    return element


def _nothing(_out: bytearray, _value: object) -> None:
    pass


_ENCODERS: dict[type, Callable[[bytearray, object], None]] = {
    type(None): _null,
    bool: _boolean,
    UByte: _packed(0x50, "B"),
    UShort: _packed(0x60, "H"),
    UInt: _unsigned(0x70, "I", 0x52, 0x43),
    ULong: _unsigned(0x80, "Q", 0x53, 0x44),
    Byte: _packed(0x51, "b"),
    Short: _packed(0x61, "h"),
    Int: _signed(0x71, "i", 0x54),
    int: _signed(0x81, "q", 0x55),
    Float: _packed(0x72, "f"),
    float: _packed(0x82, "d"),
    Timestamp: _packed(0x83, "q"),
    Char: _char,
    Decimal32: _octets(0x74),
    Decimal64: _octets(0x84),
    Decimal128: _octets(0x94),
    UUID: _uuid,
    bytes: _binary,
    str: _string,
    Symbol: _symbol,
    list: _list,
    dict: _map,
    Array: _array,
    Described: _described,
}

_FAMILIES: tuple[tuple[type, Callable[[bytearray, object], None]], ...] = (
    (bool, _boolean),
    (int, _ENCODERS[int]),
    (float, _ENCODERS[float]),
    (str, _string),
    (bytes, _binary),
    (bytearray, _binary),
    (memoryview, _binary),
    (datetime, _datetime),
    (Mapping, _map),
    (Sequence, _list),
)

_ARRAY_ELEMENTS: dict[int, Callable[[bytearray, object], None]] = {
    **dict.fromkeys((0x40, 0x41, 0x42, 0x43, 0x44, 0x45), _nothing),
    0x50: _bare("B"),
    0x51: _bare("b"),
    0x52: _bare("B"),
    0x53: _bare("B"),
    0x54: _bare("b"),
    0x55: _bare("b"),
    0x56: _bare("?"),
    0x60: _bare("H"),
    0x61: _bare("h"),
    0x70: _bare("I"),
    0x71: _bare("i"),
    0x72: _bare("f"),
    0x73: lambda out, value: out.extend(struct.pack(">I", ord(cast(str, value)))),
    **dict.fromkeys((0x74, 0x84, 0x94), lambda out, value: out.extend(cast(bytes, value))),
    0x80: _bare("Q"),
    0x81: _bare("q"),
    0x82: _bare("d"),
    0x83: _bare("q"),
    0x98: lambda out, value: out.extend(cast(UUID, value).bytes),
    0xA0: _bare_sized("B", lambda value: cast(bytes, value)),
    0xB0: _bare_sized("I", lambda value: cast(bytes, value)),
    0xA1: _bare_sized("B", lambda value: cast(str, value).encode()),
    0xB1: _bare_sized("I", lambda value: cast(str, value).encode()),
    0xA3: _bare_sized("B", lambda value: cast(str, value).encode("latin-1")),
    0xB3: _bare_sized("I", lambda value: cast(str, value).encode("latin-1")),
    0xC0: _bare_compound(wide=False),
    0xC1: _bare_compound(wide=False),
    0xE0: _bare_compound(wide=False),
    0xD0: _bare_compound(wide=True),
    0xD1: _bare_compound(wide=True),
    0xF0: _bare_compound(wide=True),
}
