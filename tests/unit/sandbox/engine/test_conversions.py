"""CAST and CONVERT on stored values, and the text forms of dates, hierarchies and shapes."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_sandbox.sqlserver.engine.types import hierarchy, shapes
from dstream_sandbox.sqlserver.engine.types.convert import convert
from dstream_sandbox.sqlserver.engine.types.dateparts import add, difference, value
from dstream_sandbox.sqlserver.engine.types.dates import parse
from dstream_sandbox.sqlserver.engine.types.like import like_matcher
from dstream_sandbox.sqlserver.engine.types.names import make_type
from dstream_sandbox.sqlserver.engine.types.precedence import arithmetic_type, common_type
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.half_pairs import text_of, units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, SqlType
from hypothesis import given
from hypothesis import strategies as some

DAY = 738579  # 2023-03-01


def typed(text: str) -> SqlType:
    name, _, args = text.rstrip(")").partition("(")
    return make_type(name, tuple(args.split(",")) if args else ())


def changed(stored: Any, source: str, target: str, style: int = 0) -> Any:
    function = convert(typed(source), typed(target), style)
    return stored if function is None else function(stored)


@pytest.mark.parametrize(
    ("stored", "source", "target", "expected"),
    [
        ("  42 ", "varchar(5)", "int", 42),
        ("", "varchar(5)", "int", 0),
        ("a🦜b", "nvarchar(4)", "nvarchar(3)", "a🦜"),
        (b"\x3e\xd8\x9c\xdd", "varbinary(4)", "nvarchar(2)", "🦜"),
        (1234, "decimal(10,2)", "varchar(10)", "12.34"),
        (-1250, "decimal(10,2)", "int", -12),
        (15000, "money", "int", 2),
        (1005, "decimal(10,3)", "decimal(10,2)", 101),
        ("true", "varchar(5)", "bit", 1),
        (0.1, "float", "varchar(20)", "0.1"),
        (1e20, "float", "varchar(20)", "1e+020"),
        (12345, "money", "varchar(20)", "1.23"),
        (b"\x01\x02", "varbinary(2)", "int", 258),
        ("ab", "nvarchar(2)", "varbinary(4)", b"a\0b\0"),
        ("é日", "nvarchar(2)", "varchar(2)", "é?"),
        ("abc", "varchar(3)", "char(5)", "abc  "),
        ("2023-03-01", "varchar(10)", "datetime", DAY * TICKS_PER_DAY),
        (DAY, "date", "datetime2(0)", DAY * TICKS_PER_DAY),
        ("20230301 10:00", "varchar(20)", "time(0)", 10 * 36_000_000_000),
    ],
)
def test_a_value_converts(stored: Any, source: str, target: str, expected: Any) -> None:
    assert changed(stored, source, target) == expected


@pytest.mark.parametrize("style", [126, 127])
def test_the_iso_styles_need_every_element_of_a_datetime(style: int) -> None:
    assert changed("2023-03-01T10:00:00.5", "nvarchar(30)", "datetime", style) == changed(
        "2023-03-01 10:00:00.5", "nvarchar(30)", "datetime"
    )
    for text in ("2023-03-01T10:00", "2023-03-01 10:00:00", "2023-03-01", "2023-03-01T10:00:00.1234"):
        with pytest.raises(SqlError) as caught:
            changed(text, "nvarchar(30)", "datetime", style)
        assert caught.value.number == 241


@pytest.mark.parametrize(
    ("stored", "source", "target", "units"),
    [
        ("🦜", "nvarchar(2)", "nvarchar(1)", b"\x3e\xd8"),
        ("a🦜", "nvarchar(3)", "nchar(2)", b"a\0\x3e\xd8"),
        (b"\x3e\xd8", "varbinary(2)", "nvarchar(1)", b"\x3e\xd8"),
    ],
)
def test_half_of_a_surrogate_pair_is_kept(stored: Any, source: str, target: str, units: bytes) -> None:
    half = changed(stored, source, target)
    half.encode()  # SQLite stores UTF-8
    assert units_of(half) == units
    assert changed(half, target, "varbinary(9)") == units
    assert text_of(units + b"\x9c\xdd") == stored if isinstance(stored, str) else "🦜"


@pytest.mark.parametrize(
    ("text", "days", "ticks", "offset"),
    [
        ("2023-03-01", DAY, 0, None),
        ("20230301", DAY, 0, None),
        ("03/01/2023", DAY, 0, None),
        ("Mar 1, 2023 1:05PM", DAY, (13 * 60 + 5) * 600_000_000, None),
        ("1 March 2023", DAY, 0, None),
        ("2023-03-01T00:00:00.1234567Z", DAY, 1_234_567, 0),
        ("2023-03-01 00:00:01 -05:30", DAY, 10_000_000, -330),
        ("00:00:00.5", 693595, 5_000_000, None),
    ],
)
def test_dates_are_parsed_in_every_form_that_sql_server_accepts(
    text: str, days: int, ticks: int, offset: int | None
) -> None:
    assert parse(text) == (days, ticks, offset)


@pytest.mark.parametrize("text", ["2023-02-30", "yesterday", "25:00", "2023-13-01", "12"])
def test_other_text_is_not_a_date(text: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text)
    assert raised.value.number == 241


@given(some.integers(0, TICKS_PER_DAY - 1))
def test_datetime_rounds_to_1_300_of_a_second_and_is_stable(ticks: int) -> None:
    rounded = to_datetime(ticks)
    assert abs(rounded - ticks) <= 16_667
    assert to_datetime(rounded) == rounded


def test_date_arithmetic_clamps_to_the_month_and_counts_boundaries() -> None:
    january = (DAY - 29) * TICKS_PER_DAY  # 2023-01-31
    assert add("month", 1, january, "date") == (DAY - 1) * TICKS_PER_DAY
    assert difference("year", (DAY - 61) * TICKS_PER_DAY, DAY * TICKS_PER_DAY) == 1
    assert difference("week", (DAY - 4) * TICKS_PER_DAY, (DAY - 3) * TICKS_PER_DAY) == 1  # Saturday to Sunday
    assert value("weekday", DAY * TICKS_PER_DAY) == 4
    with pytest.raises(SqlError):
        add("year", 9000, january, "date")


@pytest.mark.parametrize(
    ("operator", "left", "right", "result"),
    [
        ("+", "decimal(10,2)", "decimal(10,4)", "decimal(13,4)"),
        ("*", "decimal(38,10)", "decimal(38,10)", "decimal(38,6)"),
        ("/", "decimal(10,2)", "decimal(10,2)", "decimal(23,13)"),
        ("+", "int", "bigint", "bigint"),
        ("+", "int", "float", "float"),
        ("-", "money", "int", "money"),
    ],
)
def test_arithmetic_has_the_precision_of_sql_server(operator: str, left: str, right: str, result: str) -> None:
    assert arithmetic_type(operator, typed(left), typed(right)) == typed(result)


def test_the_common_type_has_the_higher_precedence() -> None:
    assert common_type(typed("varchar(5)"), typed("nvarchar(3)")) == typed("nvarchar(5)")
    assert common_type(typed("int"), typed("varchar(5)")) == typed("int")
    assert common_type(typed("datetime"), typed("datetime2(3)")).name == "datetime2"
    assert common_type(typed("decimal(10,2)"), typed("decimal(5,4)")) == typed("decimal(12,4)")


@pytest.mark.parametrize(
    ("text", "pattern", "matches"),
    [
        ("abc", "a%", 1),
        ("abc", "A_C", 1),
        ("a%c", "a[%]c", 1),
        ("abd", "ab[^c]", 1),
        ("abc ", "abc", 1),
        ("abc", "b%", 0),
        ("x\ny", "x%y", 1),
    ],
)
def test_like_patterns(text: str, pattern: str, matches: int) -> None:
    assert like_matcher("ci")(text, pattern, None) == matches


levels = some.lists(some.lists(some.integers(-5000, 10**7), min_size=1, max_size=3).map(tuple), max_size=4).map(tuple)


@given(levels)
def test_hierarchies_survive_a_round_trip(path: hierarchy.Path) -> None:
    assert hierarchy.decode(hierarchy.encode(path)) == path


@pytest.mark.parametrize(("text", "data"), [("/1/", "58"), ("/1/2/", "5B40"), ("/1.1/", "62C0"), ("/", "")])
def test_hierarchies_are_encoded_like_in_sql_server(text: str, data: str) -> None:
    assert hierarchy.parse(text) == bytes.fromhex(data)
    assert hierarchy.text(bytes.fromhex(data)) == text


numbers = some.integers(-3000, 3000)


@given(some.lists(numbers, min_size=1, max_size=3), some.lists(numbers, min_size=1, max_size=3))
def test_hierarchies_are_ordered_by_their_bytes(a: list[int], b: list[int]) -> None:
    x, y = (hierarchy.encode(tuple((n,) for n in path)) for path in (a, b))
    assert (x < y) == (a < b)


@pytest.mark.parametrize(
    "text",
    [
        "POINT (1 2)",
        "LINESTRING (0 0, 1.5 1, 2 2)",
        "POLYGON ((0 0, 10 0, 10 10, 0 0), (1 1, 2 1, 2 2, 1 1))",
        "MULTIPOINT ((1 2), (3 4))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
        "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
        "POINT EMPTY",
    ],
)
@pytest.mark.parametrize("type_name", ["geometry", "geography"])
def test_shapes_survive_a_round_trip(text: str, type_name: str) -> None:
    assert shapes.text(shapes.parse(text, type_name), type_name) == text


def test_a_point_is_encoded_like_in_sql_server() -> None:
    expected = "00000000010C000000000000F03F0000000000000040"
    assert shapes.parse("POINT(1 2)", "geometry") == bytes.fromhex(expected)
