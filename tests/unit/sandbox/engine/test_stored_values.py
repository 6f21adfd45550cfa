"""Stored forms of values are exact and ordered as in SQL Server."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from dstream_sandbox.sqlserver.engine.types.names import make_type
from dstream_sandbox.sqlserver.engine.types.storage import from_stored, row_decoder, to_stored
from dstream_sandbox.sqlserver.values import DateTimeOffset, SqlType, Variant
from hypothesis import given
from hypothesis import strategies as some

BIG = make_type("decimal", ("38", "5"))
SMALL = make_type("decimal", ("18", "5"))
numbers = some.integers(-(10**38) + 1, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-5))


@given(numbers, numbers)
def test_long_decimals_keep_every_digit_and_their_order(a: Decimal, b: Decimal) -> None:
    x, y = to_stored(BIG, a), to_stored(BIG, b)
    assert isinstance(x, bytes)
    assert isinstance(y, bytes)
    assert from_stored(BIG, x) == a
    assert (x < y) == (a < b)


@given(some.integers(-(10**18) + 1, 10**18 - 1))
def test_short_decimals_are_scaled_integers(n: int) -> None:
    assert to_stored(SMALL, Decimal(n).scaleb(-5)) == n
    assert str(from_stored(SMALL, n)) == str(Decimal(n).scaleb(-5))


@given(some.uuids(), some.uuids())
def test_guids_are_ordered_by_their_last_six_bytes_first(a: UUID, b: UUID) -> None:
    type_ = make_type("uniqueidentifier")
    x, y = to_stored(type_, a), to_stored(type_, b)
    assert from_stored(type_, x) == a
    if a.bytes[10:] != b.bytes[10:]:
        assert isinstance(x, bytes)
        assert isinstance(y, bytes)
        assert (x < y) == (a.bytes[10:] < b.bytes[10:])


@given(some.integers(0, 3 * 10**18), some.integers(-840, 840))
def test_offsets_survive_a_round_trip(ticks: int, minutes: int) -> None:
    type_ = make_type("datetimeoffset")
    value = DateTimeOffset(ticks, minutes)
    assert from_stored(type_, to_stored(type_, value)) == value


def test_a_variant_keeps_its_base_type() -> None:
    value = Variant(make_type("varbinary", ("3",)), b"\0\1")
    assert from_stored(SqlType("sql_variant"), to_stored(SqlType("sql_variant"), value)) == value


def test_rows_with_nothing_to_decode_need_no_decoder() -> None:
    assert row_decoder([make_type("int"), make_type("nvarchar", ("5",))]) is None
    decode = row_decoder([make_type("int"), SMALL, make_type("bit")])
    assert decode is not None
    assert decode([(1, 150000, 1), (2, None, None)]) == [(1, Decimal("1.50000"), True), (2, None, None)]
