"""Every AMQP primitive survives an encoding round trip with its exact type."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from dstream_sandbox.servicebus.amqp.decode import decode, skip
from dstream_sandbox.servicebus.amqp.encode import encode
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
from hypothesis import given
from hypothesis import strategies as st


def _integers(kind: type[int], bits: int, *, signed: bool) -> st.SearchStrategy[object]:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high).map(kind)


_single = st.floats(width=32, allow_nan=False)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    _integers(UByte, 8, signed=False),
    _integers(UShort, 16, signed=False),
    _integers(UInt, 32, signed=False),
    _integers(ULong, 64, signed=False),
    _integers(Byte, 8, signed=True),
    _integers(Short, 16, signed=True),
    _integers(Int, 32, signed=True),
    _integers(int, 64, signed=True),
    _single.map(Float),
    st.floats(allow_nan=False),
    _integers(Timestamp, 64, signed=True),
    st.characters(codec="utf-32").map(Char),
    st.binary(min_size=4, max_size=4).map(Decimal32),
    st.binary(min_size=8, max_size=8).map(Decimal64),
    st.binary(min_size=16, max_size=16).map(Decimal128),
    st.uuids(),
    st.binary(max_size=300),
    st.text(max_size=300),
    st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
)
_keys = st.text(max_size=8) | st.text(st.characters(max_codepoint=127), max_size=8).map(Symbol)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_keys, inner, max_size=4)
        | st.builds(Described, st.sampled_from([ULong(0x24), Symbol("x:y")]), inner)
    ),
    max_leaves=8,
)


def _typed(value: object) -> object:
    """The value with the types of all its parts, so that 1, True and UInt(1) are different."""
    if isinstance(value, dict):
        return (dict, [(_typed(key), _typed(item)) for key, item in value.items()])
    if isinstance(value, list):
        return (list, [_typed(item) for item in value])
    if isinstance(value, Described):
        return (Described, _typed(value.descriptor), _typed(value.value))
    return (type(value), value)


@given(_values)
def test_a_value_keeps_its_type_and_content(value: object) -> None:
    octets = encode(value)
    decoded, end = decode(octets)
    assert _typed(decoded) == _typed(value)
    assert end == len(octets)
    assert skip(octets, 0) == len(octets)


@given(st.binary(max_size=64))
def test_arbitrary_octets_are_a_value_or_malformed(octets: bytes) -> None:
    try:
        _, end = decode(octets)
    except MalformedValue:
        return
    assert end <= len(octets)


@given(_values, st.data())
def test_a_truncated_value_is_malformed(value: object, data: st.DataObject) -> None:
    octets = encode(value)
    cut = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(MalformedValue):
        decode(octets[:cut])


@pytest.mark.parametrize(
    "array",
    [
        Array(0x81, (1, -2, 1 << 40)),
        Array(0x98, (UUID(int=1), UUID(int=2))),
        Array(0xA3, (Symbol("a"), Symbol("b"))),
        Array(0xB1, ("a", "b" * 300)),
        Array(0x83, (Timestamp(5),)),
        Array(0x56, (True, False)),
        Array(0x70, tuple(UInt(n) for n in range(300))),
        Array(0xD0, ([1, "x"], [])),
        Array(0x53, (ULong(1),), descriptor=Symbol("d")),
        Array(0x43, (UInt(0), UInt(0))),
        Array(0x98, ()),
    ],
)
def test_an_array_keeps_its_constructor(array: Array) -> None:
    octets = encode(array)
    decoded, end = decode(octets)
    assert decoded == array
    assert end == len(octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"\x43", UInt(0)),
        (b"\x52\x07", UInt(7)),
        (b"\x70\x00\x00\x00\x07", UInt(7)),
        (b"\x56\x01", True),
        (b"\x55\xff", -1),
        (b"\x54\x80", Int(-128)),
        (b"\xa1\x02\xc3\xa4", "ä"),
        (b"\x73\x00\x01\xf6\x00", Char("\U0001f600")),
        (b"\xc1\x01\x00", {}),
        (b"\xd0\x00\x00\x00\x05\x00\x00\x00\x01\x40", [None]),
    ],
)
def test_encodings_from_the_specification_are_decoded(octets: bytes, value: object) -> None:
    decoded, _ = decode(octets)
    assert _typed(decoded) == _typed(value)


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(MalformedValue, match="out of the range"):
        encode(UByte(256))


def test_a_hostile_count_does_not_exhaust_memory() -> None:
    with pytest.raises(MalformedValue):
        decode(b"\xd0" + struct.pack(">II", 4, 0xFFFFFFFF))
    with pytest.raises(MalformedValue):
        decode(b"\xf0" + struct.pack(">IIB", 5, 0xFFFFFFFF, 0x40))


def test_a_char_outside_unicode_is_malformed() -> None:
    with pytest.raises(MalformedValue):
        decode(b"\x73\xff\xff\xff\xff")


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(MalformedValue):
        decode(b"\x00" * 100_000)
