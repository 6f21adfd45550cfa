"""Every value of every type survives a round trip through the server's encoding."""

from __future__ import annotations

import math
from decimal import Decimal
from uuid import UUID

from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.tds.bulk_load import read_bulk_rows
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader
from dstream_sandbox.sqlserver.tds.encoding import encoding
from dstream_sandbox.sqlserver.tds.rows import RowEncoder
from dstream_sandbox.sqlserver.tds.tokens import column_metadata
from dstream_sandbox.sqlserver.values import (
    MAX,
    TICKS_PER_DAY,
    TICKS_PER_SECOND,
    DateTimeOffset,
    Row,
    SqlType,
    Value,
    Variant,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LAST_DAY = 3652058
FIRST_DATETIME_DAY = 639905
Typed = tuple[SqlType, st.SearchStrategy[Value]]

halves = "".join(map(chr, range(0x10D800, 0x10E000)))  # stand for halves of surrogate pairs (half_pairs.py)
text = st.text(st.characters(codec="utf-16-le", exclude_characters=halves), max_size=40)
latin = st.text(st.characters(codec="cp1252"), max_size=40)
days = st.integers(0, LAST_DAY)


def integers(name: str, bits: int) -> Typed:
    return SqlType(name), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def decimals(name: str, precision: int, scale: int) -> Typed:
    top = 10**precision - 1
    values = st.integers(-top, top).map(lambda n: Decimal((int(n < 0), Decimal(abs(n)).as_tuple().digits, -scale)))
    return SqlType(name, precision=precision, scale=scale), values


def money(name: str, bits: int) -> Typed:
    return SqlType(name), decimals_of(bits)


def decimals_of(bits: int) -> st.SearchStrategy[Value]:
    top = 2 ** (bits - 1)
    return st.integers(-top, top - 1).map(lambda n: Decimal((int(n < 0), Decimal(abs(n)).as_tuple().digits, -4)))


def ticks(scale: int) -> st.SearchStrategy[int]:
    unit = 10 ** (7 - scale)
    return st.integers(0, TICKS_PER_DAY // unit - 1).map(lambda n: n * unit)


def moments(scale: int) -> st.SearchStrategy[int]:
    return st.tuples(days, ticks(scale)).map(lambda pair: pair[0] * TICKS_PER_DAY + pair[1])


datetimes = st.tuples(st.integers(FIRST_DATETIME_DAY, LAST_DAY), st.integers(0, 300 * 86400 - 1)).map(
    lambda pair: pair[0] * TICKS_PER_DAY + (pair[1] * TICKS_PER_SECOND + 150) // 300
)
small_datetimes = st.tuples(st.integers(693595, 693595 + 65535), st.integers(0, 1439)).map(
    lambda pair: pair[0] * TICKS_PER_DAY + pair[1] * 60 * TICKS_PER_SECOND
)
offsets = st.tuples(moments(7), st.integers(-14 * 60, 14 * 60)).map(lambda pair: DateTimeOffset(*pair))

TYPES: list[Typed] = [
    (SqlType("tinyint"), st.integers(0, 255)),
    integers("smallint", 16),
    integers("int", 32),
    integers("bigint", 64),
    (SqlType("bit"), st.booleans()),
    decimals("decimal", 5, 2),
    decimals("numeric", 15, 15),
    decimals("decimal", 28, 0),
    decimals("numeric", 38, 12),
    money("money", 64),
    money("smallmoney", 32),
    (SqlType("float"), st.floats(allow_nan=False)),
    (SqlType("real"), st.floats(width=32, allow_nan=False)),
    (SqlType("char", 40), latin),
    (SqlType("varchar", 40), latin),
    (SqlType("varchar", MAX), latin),
    (SqlType("nchar", 80), text),
    (SqlType("nvarchar", 80), text),
    (SqlType("nvarchar", MAX), text),
    (SqlType("xml"), text.filter(lambda value: not value.startswith("\ufeff"))),
    (SqlType("binary", 40), st.binary(max_size=40)),
    (SqlType("varbinary", 40), st.binary(max_size=40)),
    (SqlType("varbinary", MAX), st.binary(max_size=400)),
    (SqlType("date"), days),
    *[(SqlType("time", scale=scale), ticks(scale)) for scale in range(8)],
    *[(SqlType("datetime2", scale=scale), moments(scale)) for scale in (0, 3, 7)],
    (SqlType("datetimeoffset", scale=7), offsets),
    (SqlType("datetime"), datetimes),
    (SqlType("smalldatetime"), small_datetimes),
    (SqlType("uniqueidentifier"), st.uuids()),
    (SqlType("geometry"), st.binary(max_size=40)),
]
VARIANT_TYPES = [pair for pair in TYPES if pair[0].name not in ("xml", "geometry") and pair[0].length != MAX]


def variants() -> st.SearchStrategy[Value]:
    return st.sampled_from(VARIANT_TYPES).flatmap(lambda pair: pair[1].map(lambda value: Variant(pair[0], value)))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[SqlType], list[Row]]:
    typed = draw(st.lists(st.sampled_from([*TYPES, (SqlType("sql_variant"), variants())]), min_size=1, max_size=12))
    cells = [st.none() | values for _, values in typed]
    rows = draw(st.lists(st.tuples(*cells), max_size=8))
    return [sql_type for sql_type, _ in typed], rows


def written(types: list[SqlType], rows: list[Row], *, compact: bool) -> bytes:
    columns = [Column(f"c{n}", sql_type) for n, sql_type in enumerate(types)]
    encodings = [encoding(sql_type, "demo") for sql_type in types]
    return column_metadata(columns, encodings) + RowEncoder(encodings, compact=compact).encode(rows)


@settings(max_examples=60, deadline=None)
@given(tables(), st.booleans())
def test_rows_survive_a_round_trip(table: tuple[list[SqlType], list[Row]], compact: bool) -> None:
    types, rows = table
    load = read_bulk_rows(ByteReader(written(types, rows, compact=compact)))
    assert load.names == tuple(f"c{n}" for n in range(len(types)))
    assert [sql_type.name for sql_type in load.types] == [sql_type.name for sql_type in types]
    assert list(load.rows) == rows


def test_null_compression_is_used_only_if_it_saves_bytes() -> None:
    types = [SqlType("nvarchar", 10)] * 16
    sparse: list[Row] = [(None,) * 15 + ("x",)] * 10
    full: list[Row] = [("x",) * 16] * 10
    assert len(written(types, sparse, compact=True)) < len(written(types, sparse, compact=False))
    assert written(types, full, compact=True) == written(types, full, compact=False)


def test_a_decimal_of_38_digits_is_exact() -> None:
    value = Decimal("12345678901234567890123456.789012345678")
    data = written([SqlType("decimal", precision=38, scale=12)], [(value,)], compact=True)
    assert data[-16:] == (12345678901234567890123456789012345678).to_bytes(16, "little")


def test_a_datetime_of_three_milliseconds_is_one_three_hundredth() -> None:
    # datetime counts 1/300 s; an engine can store .003 or .0033333 for it.
    for ticks_of_day in (30_000, 33_333):
        data = written([SqlType("datetime")], [(693595 * TICKS_PER_DAY + ticks_of_day,)], compact=True)
        assert data[-8:] == b"\0\0\0\0\1\0\0\0"


def test_infinity_and_negative_zero_survive_a_round_trip() -> None:
    rows: list[Row] = [(math.inf,), (-0.0,)]
    (first,), (second,) = read_bulk_rows(ByteReader(written([SqlType("float")], rows, compact=True))).rows
    assert first == math.inf
    assert math.copysign(1, second) == -1  # type: ignore[arg-type]


def test_a_guid_is_sent_with_its_first_three_fields_swapped() -> None:
    guid = UUID("00112233-4455-6677-8899-aabbccddeeff")
    data = written([SqlType("uniqueidentifier")], [(guid,)], compact=True)
    assert data[-16:].hex() == "33221100554477668899aabbccddeeff"
