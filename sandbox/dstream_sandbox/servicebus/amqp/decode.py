"""Decodes AMQP values (OASIS AMQP 1.0, part 1, section 1.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable
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

__all__ = ["decode", "decode_at", "skip"]

_Decoder = Callable[[bytes, int], tuple[object, int]]

_UINT = struct.Struct(">I")
# Octets of a fixed-width value, by the high nibble of its constructor; other values start with their size.
_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def decode(data: bytes, start: int = 0) -> tuple[object, int]:
    """Return the value at `start` and the offset after it. Raises MalformedValue."""
    try:
        return decode_at(data, start)
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError, struct.error) as exc:
        raise MalformedValue(f"invalid AMQP value at octet {start}: {exc!r}") from exc


def decode_at(data: bytes, pos: int) -> tuple[object, int]:
    """Like `decode`, for callers that translate the errors of truncated or malformed data themselves."""
    code = data[pos]
    if code:
        return _DECODERS[code](data, pos + 1)
    descriptor, pos = decode_at(data, pos + 1)
    value, pos = decode_at(data, pos)
    return Described(descriptor, value), pos


def skip(data: bytes, pos: int) -> int:
    """Return the offset after the value at `pos`, without decoding the value."""
    code = data[pos]
    if code == 0:
        return skip(data, skip(data, pos + 1))
    kind = code >> 4
    if kind in (0xA, 0xC, 0xE):
        end = pos + 2 + data[pos + 1]
    elif kind in (0xB, 0xD, 0xF):
        end = pos + 5 + int(_UINT.unpack_from(data, pos + 1)[0])
    else:
        end = pos + 1 + _FIXED_WIDTH[kind]
    if end > len(data):
        raise MalformedValue("value extends beyond its frame")
    return end


def _fixed(fmt: str, wrap: Callable[..., object] | None = None) -> _Decoder:
    form = struct.Struct(fmt)
    unpack, size = form.unpack_from, form.size
    if wrap is None:
        return lambda data, pos: (unpack(data, pos)[0], pos + size)
    return lambda data, pos: (wrap(unpack(data, pos)[0]), pos + size)


def _constant(value: object) -> _Decoder:
    return lambda _data, pos: (value, pos)


def _octets(size: int, wrap: Callable[[bytes], object]) -> _Decoder:
    return lambda data, pos: (wrap(_slice(data, pos, pos + size)), pos + size)


def _slice(data: bytes, pos: int, end: int) -> bytes:
    if end > len(data):
        raise MalformedValue("value extends beyond its frame")
    return data[pos:end]


def _variable8(wrap: Callable[[bytes], object]) -> _Decoder:
    def decoder(data: bytes, pos: int) -> tuple[object, int]:
        end = pos + 1 + data[pos]
        return wrap(_slice(data, pos + 1, end)), end

    return decoder


def _variable32(wrap: Callable[[bytes], object]) -> _Decoder:
    def decoder(data: bytes, pos: int) -> tuple[object, int]:
        end = pos + 4 + int(_UINT.unpack_from(data, pos)[0])
        return wrap(_slice(data, pos + 4, end)), end

    return decoder


def _items(data: bytes, pos: int, count: int) -> tuple[list[object], int]:
    if count > len(data) - pos:  # an element takes at least one octet
        raise MalformedValue("more elements than octets")
    values = []
    for _ in range(count):
        value, pos = decode_at(data, pos)
        values.append(value)
    return values, pos


def _list8(data: bytes, pos: int) -> tuple[object, int]:
    return _items(data, pos + 2, data[pos + 1])


def _list32(data: bytes, pos: int) -> tuple[object, int]:
    return _items(data, pos + 8, _UINT.unpack_from(data, pos + 4)[0])


def _map(data: bytes, pos: int, count: int) -> tuple[object, int]:
    values, pos = _items(data, pos, count)
    return dict(zip(values[::2], values[1::2], strict=True)), pos


def _map8(data: bytes, pos: int) -> tuple[object, int]:
    return _map(data, pos + 2, data[pos + 1])


def _map32(data: bytes, pos: int) -> tuple[object, int]:
    return _map(data, pos + 8, _UINT.unpack_from(data, pos + 4)[0])


def _array(data: bytes, pos: int, count: int) -> tuple[object, int]:
    descriptor = None
    if data[pos] == 0:
        descriptor, pos = decode_at(data, pos + 1)
    code = data[pos]
    decoder, pos = _DECODERS[code], pos + 1
    if code >> 4 != 0x4 and count > len(data) - pos:
        raise MalformedValue("more elements than octets")
    values = []
    for _ in range(count):
        value, pos = decoder(data, pos)
        values.append(value)
    return Array(code, tuple(values), descriptor), pos


def _array8(data: bytes, pos: int) -> tuple[object, int]:
    return _array(data, pos + 2, data[pos + 1])


def _array32(data: bytes, pos: int) -> tuple[object, int]:
    count = int(_UINT.unpack_from(data, pos + 4)[0])
    if count > 1 << 20:
        raise MalformedValue("array of more than a million elements")
    return _array(data, pos + 8, count)


def _char(code_point: int) -> Char:
    return Char(chr(code_point))


def _text(octets: bytes) -> str:
    return octets.decode()


def _symbol(octets: bytes) -> Symbol:
    # ASCII by the specification; latin-1 accepts a careless peer's other octets instead of dropping its connection.
    return Symbol(octets.decode("latin-1"))


_DECODERS: dict[int, _Decoder] = {
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(UInt(0)),
    0x44: _constant(ULong(0)),
    0x45: lambda _data, pos: ([], pos),
    0x50: _fixed(">B", UByte),
    0x51: _fixed(">b", Byte),
    0x52: _fixed(">B", UInt),
    0x53: _fixed(">B", ULong),
    0x54: _fixed(">b", Int),
    0x55: _fixed(">b"),
    0x56: _fixed(">?"),
    0x60: _fixed(">H", UShort),
    0x61: _fixed(">h", Short),
    0x70: _fixed(">I", UInt),
    0x71: _fixed(">i", Int),
    0x72: _fixed(">f", Float),
    0x73: _fixed(">I", _char),
    0x74: _octets(4, Decimal32),
    0x80: _fixed(">Q", ULong),
    0x81: _fixed(">q"),
    0x82: _fixed(">d"),
    0x83: _fixed(">q", Timestamp),
    0x84: _octets(8, Decimal64),
    0x94: _octets(16, Decimal128),
    0x98: _octets(16, lambda octets: UUID(bytes=octets)),
    0xA0: _variable8(bytes),
    0xA1: _variable8(_text),
    0xA3: _variable8(_symbol),
    0xB0: _variable32(bytes),
    0xB1: _variable32(_text),
    0xB3: _variable32(_symbol),
    0xC0: _list8,
    0xC1: _map8,
    0xD0: _list32,
    0xD1: _map32,
    0xE0: _array8,
    0xF0: _array32,
}
