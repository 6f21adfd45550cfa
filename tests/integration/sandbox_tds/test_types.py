"""Every type to real drivers and back: results as declared, parameters as sent."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyodbc
import pytest
from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, DateTimeOffset, SqlType, Value, Variant

from tests.integration.sandbox_tds import odbc_api
from tests.integration.sandbox_tds.conftest import Listener

DAY = dt.date(2024, 2, 29).toordinal() - 1
NOON = DAY * TICKS_PER_DAY + TICKS_PER_DAY // 2
GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")
UTF8 = "Latin1_General_100_CI_AS_SC_UTF8"

# type, value at the seam, value from pyodbc
RESULTS: list[tuple[SqlType, Value, Any]] = [
    (SqlType("tinyint"), 255, 255),
    (SqlType("smallint"), -32768, -32768),
    (SqlType("int"), -(2**31), -(2**31)),
    (SqlType("bigint"), 2**63 - 1, 2**63 - 1),
    (SqlType("bit"), True, True),
    (SqlType("bit"), False, False),
    (
        SqlType("decimal", precision=38, scale=10),
        Decimal("-1234567890123456789012345678.1234567890"),
        Decimal("-1234567890123456789012345678.1234567890"),
    ),
    (SqlType("numeric", precision=5, scale=2), Decimal("1.50"), Decimal("1.50")),
    (SqlType("numeric", precision=19, scale=0), Decimal("-1"), Decimal("-1")),
    (SqlType("numeric", precision=28, scale=0), Decimal(10) ** 27, Decimal(10) ** 27),
    (SqlType("money"), Decimal("-922337203685477.5808"), Decimal("-922337203685477.5808")),
    (SqlType("smallmoney"), Decimal("-214748.3648"), Decimal("-214748.3648")),
    (SqlType("float"), 1.5e300, 1.5e300),
    (SqlType("real"), 0.25, 0.25),
    (SqlType("char", 3), "ab ", "ab "),
    (SqlType("varchar", 20), "héllo €", "héllo €"),
    (SqlType("varchar", 20), "", ""),
    (SqlType("varchar", 20), "日", "?"),
    (SqlType("varchar", -1), "x" * 9000, "x" * 9000),
    (SqlType("varchar", -1), "", ""),
    (SqlType("varchar", 20, collation=UTF8), "日本", "日本"),
    (SqlType("varchar", 20, collation="Cyrillic_General_CI_AS"), "Привет", "Привет"),
    (SqlType("nchar", 3), "é  ", "é  "),
    (SqlType("nvarchar", 20), "日本😀", "日本😀"),
    (SqlType("nvarchar", -1), "日本" * 50_000, "日本" * 50_000),
    (SqlType("text"), "text é", "text é"),
    (SqlType("ntext"), "ntext 日", "ntext 日"),
    (SqlType("xml"), "<a>é</a>", "<a>é</a>"),
    (SqlType("binary", 4), b"\1\2\3\0", b"\1\2\3\0"),
    (SqlType("varbinary", 10), b"", b""),
    (SqlType("varbinary", -1), b"z" * 9000, b"z" * 9000),
    (SqlType("image"), b"image", b"image"),
    (SqlType("rowversion"), b"\0\0\0\0\0\0\0\5", b"\0\0\0\0\0\0\0\5"),
    (SqlType("date"), 0, dt.date(1, 1, 1)),
    (SqlType("date"), DAY, dt.date(2024, 2, 29)),
    (SqlType("time", scale=7), 1234560, dt.time(0, 0, 0, 123456)),
    (SqlType("time", scale=0), TICKS_PER_DAY // 2, dt.time(12)),
    (SqlType("datetime"), NOON + 33333, dt.datetime(2024, 2, 29, 12, 0, 0, 3000)),
    (SqlType("datetime"), NOON + 66667, dt.datetime(2024, 2, 29, 12, 0, 0, 7000)),
    (SqlType("datetime"), NOON + 30000, dt.datetime(2024, 2, 29, 12, 0, 0, 3000)),
    (SqlType("smalldatetime"), NOON, dt.datetime(2024, 2, 29, 12)),
    (SqlType("datetime2", scale=7), NOON + 1234560, dt.datetime(2024, 2, 29, 12, 0, 0, 123456)),
    (SqlType("datetime2", scale=3), NOON + 1230000, dt.datetime(2024, 2, 29, 12, 0, 0, 123000)),
    (SqlType("datetime2", scale=0), NOON, dt.datetime(2024, 2, 29, 12)),
    (SqlType("datetimeoffset", scale=7), DateTimeOffset(NOON, -90), (2024, 2, 29, 10, 30, 0, 0, -1, -30)),
    (SqlType("uniqueidentifier"), GUID, str(GUID).upper()),
    (SqlType("hierarchyid"), b"\x58", b"\x58"),
    (SqlType("geometry"), b"\0" * 22, b"\0" * 22),
    (SqlType("geography"), b"\1" * 9000, b"\1" * 9000),
]


@pytest.fixture
def odbc(listener: Listener) -> Iterator[pyodbc.Connection]:
    connection = listener.odbc("Encrypt=no")
    connection.add_output_converter(-155, lambda raw: struct.unpack("<hHHHHHIhh", raw))
    connection.add_output_converter(-151, bytes)
    with connection:
        yield connection


def test_every_result_type_arrives_as_declared(listener: Listener, odbc: pyodbc.Connection) -> None:
    for sql_type, value, expected in RESULTS:
        columns = (Column("value", sql_type), Column("after", SqlType("int")))
        listener.engine.results["RESULT"] = (columns, [(value, 1), (None, 2), (value, 3)])
        rows = [tuple(row) for row in odbc.execute("RESULT").fetchall()]
        assert rows == [(expected, 1), (None, 2), (expected, 3)], sql_type


def test_freetds_reads_the_same_types(listener: Listener) -> None:
    with listener.freetds() as connection, connection.cursor() as cursor:
        for sql_type, value, expected in RESULTS:
            columns = (Column("value", sql_type), Column("after", SqlType("int")))
            listener.engine.results["RESULT"] = (columns, [(value, 1), (None, 2)])
            cursor.execute("RESULT")
            first, second = cursor.fetchall()
            assert (first[1], second) == (1, (None, 2)), sql_type
            if sql_type.name not in ("datetimeoffset", "uniqueidentifier"):
                assert first[0] == expected, sql_type


def test_a_result_describes_precision_scale_and_nullability(listener: Listener, odbc: pyodbc.Connection) -> None:
    columns = (
        Column("amount", SqlType("decimal", precision=12, scale=3), nullable=False),
        Column("name", SqlType("nvarchar", 50)),
    )
    listener.engine.results["RESULT"] = (columns, [])
    described = odbc.execute("RESULT").description
    assert [tuple(column) for column in described] == [
        ("amount", Decimal, None, 12, 12, 3, False),
        ("name", str, None, 50, 50, 0, True),
    ]


def test_rows_with_many_nulls_arrive(listener: Listener, odbc: pyodbc.Connection) -> None:
    names = ["int", "bigint", "varchar", "date", "uniqueidentifier", "xml", "decimal", "image", "bit", "time"]
    columns = tuple(Column(f"c{n}", SqlType(name)) for n, name in enumerate(names))
    nothing = (None,) * len(names)
    rows: list[tuple[Value, ...]] = [nothing, (1, *nothing[1:]), (*nothing[:8], True, None), nothing]
    listener.engine.results["RESULT"] = (columns, rows)
    assert [tuple(row) for row in odbc.execute("RESULT").fetchall()] == rows


VARIANTS = [
    (Variant(SqlType("int"), 5), "5"),
    (Variant(SqlType("bigint"), 2**40), str(2**40)),
    (Variant(SqlType("bit"), True), "1"),
    (Variant(SqlType("float"), 1.5), "1.5"),
    (Variant(SqlType("decimal", precision=10, scale=2), Decimal("-1.25")), "-1.25"),
    (Variant(SqlType("money"), Decimal("1.5000")), "1.5000"),
    (Variant(SqlType("nvarchar", 10), "vé日"), "vé日"),
    (Variant(SqlType("varchar", 10), "vé"), "vé"),
    (Variant(SqlType("varbinary", 10), b"\1\2"), "0102"),
    (Variant(SqlType("uniqueidentifier"), GUID), str(GUID).upper()),
    (Variant(SqlType("date"), DAY), "2024-02-29"),
    (Variant(SqlType("time", scale=3), 10_000_000), "00:00:01.000"),
    (Variant(SqlType("datetime"), NOON), "2024-02-29 12:00:00.000"),
    (Variant(SqlType("smalldatetime"), NOON), "2024-02-29 12:00:00"),
    (Variant(SqlType("datetime2", scale=3), NOON), "2024-02-29 12:00:00.000"),
    (Variant(SqlType("datetimeoffset", scale=0), DateTimeOffset(NOON, 60)), "2024-02-29 13:00:00 +01:00"),
]


def test_a_sql_variant_carries_its_base_type(listener: Listener) -> None:
    columns = (Column("value", SqlType("sql_variant")),)
    with odbc_api.Connection(listener.connection_string()) as connection:
        for variant, expected in VARIANTS:
            listener.engine.results["RESULT"] = (columns, [(variant,)])
            assert connection.execute("RESULT").fetch() == expected, variant


PARAMETERS: list[tuple[Any, SqlType]] = [
    (1, SqlType("int")),
    (-(2**40), SqlType("bigint")),
    (True, SqlType("bit")),
    (1.5, SqlType("float")),
    ("héllo 日😀", SqlType("nvarchar", 18)),
    ("", SqlType("nvarchar", 1)),
    ("y" * 1_000_000, SqlType("nvarchar", -1)),
    (b"\0\1", SqlType("varbinary", 2)),
    (b"z" * 1_000_000, SqlType("varbinary", -1)),
    (Decimal("-123.4500"), SqlType("numeric", precision=7, scale=4)),
    (Decimal("9" * 38), SqlType("numeric", precision=38, scale=0)),
    (dt.date(9999, 12, 31), SqlType("date")),
    (dt.datetime(2024, 2, 29, 12, 34, 56, 789123), SqlType("datetime2", scale=7)),
    (dt.time(1, 2, 3), SqlType("time", scale=0)),
]


def test_every_parameter_type_round_trips(listener: Listener, odbc: pyodbc.Connection) -> None:
    for value, sql_type in PARAMETERS:
        assert odbc.execute("SELECT ?", value).fetchval() == value, sql_type
        (param,) = listener.engine.executed[-1][1]
        assert (param.name, param.type) == ("@P1", sql_type)


def test_a_guid_parameter_arrives(listener: Listener, odbc: pyodbc.Connection) -> None:
    assert odbc.execute("SELECT ?", GUID).fetchval() == str(GUID).upper()
    assert listener.engine.executed[-1][1][0].value == GUID


@pytest.mark.parametrize("declared", ["int", "nvarchar", "datetime2", "varbinary", "uniqueidentifier"])
def test_a_null_takes_the_type_that_the_server_suggests(
    listener: Listener, odbc: pyodbc.Connection, declared: str
) -> None:
    listener.engine.parameter_type = SqlType(declared, 10 if declared in ("nvarchar", "varbinary") else None)
    assert odbc.execute("SELECT ?", None).fetchval() is None
    assert listener.engine.executed[-1][1][0].type.name == declared
