"""Every SQL type is stored and returned exactly; values that do not fit raise SQL Server's errors."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from dstream_sandbox.sqlserver.engine.types.names import declaration, make_type
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, DateTimeOffset, SqlType, Variant

from tests.integration.sandbox_engine.client import Client

DAY = 738579  # 2023-03-01
VALUES: list[tuple[SqlType, list[Any]]] = [
    (make_type("tinyint"), [0, 255]),
    (make_type("smallint"), [-(2**15), 2**15 - 1]),
    (make_type("int"), [-(2**31), 2**31 - 1]),
    (make_type("bigint"), [-(2**63), 2**63 - 1]),
    (make_type("bit"), [True, False]),
    (make_type("decimal", ("10", "2")), [Decimal("-99999999.99"), Decimal("0.01")]),
    (make_type("decimal", ("38", "10")), [Decimal("9999999999999999999999999999.9999999999"), Decimal("-1.0000000001")]),
    (make_type("numeric", ("38", "38")), [Decimal("0.12345678901234567890123456789012345678")]),
    (make_type("numeric", ("38", "0")), [Decimal(10**38 - 1), Decimal(-(10**38) + 1)]),
    (make_type("money"), [Decimal("922337203685477.5807"), Decimal("-922337203685477.5808")]),
    (make_type("smallmoney"), [Decimal("-214748.3648")]),
    (make_type("float"), [math.pi, -1.7976931348623157e308, 5e-324, 0.1]),
    (make_type("real"), [0.10000000149011612]),
    (make_type("char", ("5",)), ["ab   "]),
    (make_type("varchar", ("20",)), ["trailing  ", "é€", ""]),
    (make_type("nchar", ("3",)), ["ü  "]),
    (make_type("nvarchar", ("10",)), ["日本語🎉"]),
    (make_type("nvarchar", ("max",)), ["x" * 100_000]),
    (make_type("varbinary", ("max",)), [bytes(range(256)) * 100]),
    (make_type("binary", ("4",)), [b"\0\1\2\3"]),
    (make_type("date"), [0, DAY, 3652058]),
    (make_type("time", ("7",)), [0, TICKS_PER_DAY - 1]),
    (make_type("time", ("3",)), [123 * 10_000]),
    (make_type("datetime"), [DAY * TICKS_PER_DAY + 33_333, DAY * TICKS_PER_DAY + 66_667]),
    (make_type("smalldatetime"), [DAY * TICKS_PER_DAY + 600_000_000]),
    (make_type("datetime2", ("7",)), [0, DAY * TICKS_PER_DAY + 1, 3652059 * TICKS_PER_DAY - 1]),
    (make_type("datetimeoffset", ("7",)), [DateTimeOffset(DAY * TICKS_PER_DAY + 1, -330), DateTimeOffset(DAY * TICKS_PER_DAY, 840)]),
    (make_type("uniqueidentifier"), [UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")]),
    (make_type("xml"), ["<a>1</a>"]),
    (make_type("sql_variant"), [Variant(make_type("decimal", ("5", "2")), Decimal("1.50")), Variant(make_type("int"), 4)]),
    (make_type("text"), ["legacy"]),
    (make_type("ntext"), ["légacy"]),
    (make_type("image"), [b"\xff\xd8"]),
    (make_type("hierarchyid"), [b"\x5b\x40"]),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "values"), VALUES, ids=lambda v: declaration(v) if isinstance(v, SqlType) else "")
def test_values_round_trip_through_the_table_and_the_change_table(
    tracked: Client, type_: SqlType, values: list[Any]
) -> None:
    tracked.run(f"CREATE TABLE t (id int PRIMARY KEY, v {declaration(type_)} NULL)")
    tracked.run("EXEC sys.sp_cdc_enable_table 'dbo', 't', NULL")
    for i, value in enumerate([*values, None]):
        tracked.run("INSERT t VALUES (@i, @v)", ("@i", SqlType("int"), i), ("@v", type_, value))
    answer = tracked.run("SELECT v FROM t ORDER BY id")
    assert answer.results[0] == [(v,) for v in [*values, None]]
    assert answer.columns[0][0].type == type_
    assert tracked.rows("SELECT v FROM cdc.dbo_t_CT ORDER BY id") == [(v,) for v in [*values, None]]
    tracked.run("UPDATE t SET v = @v WHERE id = 0", ("@v", type_, None))
    assert tracked.rows("SELECT v FROM t WHERE id = 0") == [(None,)]


def test_ordering_and_comparison_follow_the_type(client: Client) -> None:
    client.run("CREATE TABLE t (d decimal(38,4), g uniqueidentifier, n nvarchar(20), o datetimeoffset)")
    client.run(
        "INSERT t VALUES (-5, '00000000-0000-0000-0000-010000000000', N'b', '2020-01-01 12:00 +02:00'), "
        "(100, '01000000-0000-0000-0000-000000000000', N'A ', '2020-01-01 11:00 +00:00'), "
        "(20.5, '00000000-0000-0000-0000-020000000000', N'á', '2020-01-01 10:00 +00:00')"
    )
    assert [str(r[0]) for r in client.rows("SELECT d FROM t ORDER BY d")] == ["-5.0000", "20.5000", "100.0000"]
    assert [str(r[0])[:2] + str(r[0])[-12:-10] for r in client.rows("SELECT g FROM t ORDER BY g")] == [
        "0100",
        "0001",
        "0002",
    ]
    assert [r[0] for r in client.rows("SELECT n FROM t ORDER BY n")] == ["A ", "á", "b"]
    assert client.value("SELECT count(*) FROM t WHERE n = 'a'") == 1
    assert client.value("SELECT count(*) FROM t WHERE n COLLATE Latin1_General_CS_AS = 'a'") == 0
    assert client.value("SELECT count(*) FROM t WHERE o = '2020-01-01 10:00 +00:00'") == 2
    assert client.value("SELECT count(*) FROM t WHERE d = 20.50000") == 1
    assert client.value("SELECT count(*) FROM t WHERE d > '19'") == 2


@pytest.mark.parametrize("name", ["Cyrillic_General_CI_AS", "Latin1_General_100_CI_AS_SC_UTF8"])
def test_a_varchar_column_with_another_code_page_is_refused(client: Client, name: str) -> None:
    assert client.error(f"CREATE TABLE t (v varchar(5) COLLATE {name})") == 40515
    client.run(f"CREATE TABLE t (v nvarchar(5) COLLATE {name}); INSERT t VALUES (N'Зоя')")
    assert client.value("SELECT v FROM t") == "Зоя"


def test_char_pads_and_comparison_ignores_trailing_blanks(client: Client) -> None:
    client.run("CREATE TABLE t (c char(5), v varchar(5)); INSERT t VALUES ('ab', 'ab ')")
    assert client.rows("SELECT c, v, LEN(c), DATALENGTH(c), LEN(v) FROM t WHERE c = 'ab' AND v = 'ab'") == [
        ("ab   ", "ab ", 2, 5, 2)
    ]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT CAST('abc' AS int)", 245),
        ("SELECT CAST('99999999999' AS int)", 248),
        ("SELECT CAST(300 AS tinyint)", 220),
        ("SELECT CAST(99999999999 AS int)", 8115),
        ("SELECT CAST('x' AS decimal(5,2))", 8114),
        ("SELECT CAST(123456 AS decimal(5,2))", 8115),
        ("SELECT CAST('1' AS float) / 0", 8134),
        ("SELECT CAST('2023-02-30' AS date)", 241),
        ("SELECT CAST('zz' AS uniqueidentifier)", 8169),
        ("SELECT CAST(N'1600-01-01' AS datetime)", 242),
        ("SELECT 2147483647 + 1", 8115),
        ("SELECT CAST(200 AS tinyint) + CAST(100 AS tinyint)", 8115),
        ("SELECT CAST(9223372036854775807 AS bigint) + 1", 8115),
        ("INSERT t VALUES (1, 'toolong', 1)", 2628),
        ("INSERT t VALUES (1, 'a', 99999)", 220),
        ("INSERT t VALUES (NULL, 'a', 1)", 515),
        ("INSERT t VALUES (1, 'a')", 109),
        ("INSERT t (id, nope) VALUES (1, 1)", 207),
        ("SELECT CAST(GETDATE() AS int) + CAST('x' AS xml)", 8117),
        ("SELECT CAST(1 AS date)", 529),
        ("DECLARE @d date = 1", 257),
    ],
)
def test_values_that_do_not_fit_raise_sql_servers_errors(client: Client, sql: str, number: int) -> None:
    client.run("CREATE TABLE t (id int NOT NULL, v varchar(3), s smallint)")
    assert client.error(sql) == number


@pytest.mark.parametrize(
    ("expression", "type_", "value"),
    [
        ("7 / 2", "int", 3),
        ("-7 / 2", "int", -3),
        ("-7 % 3", "int", -1),
        ("7 / 2.0", "numeric(8,6)", Decimal("3.500000")),
        ("1.5 * 1.25", "numeric(6,3)", Decimal("1.875")),
        ("CAST(1 AS decimal(10,2)) / 3", "decimal(14,6)", Decimal("0.333333")),
        ("CAST(1 AS decimal(38,10)) * CAST(2 AS decimal(38,10))", "decimal(38,6)", Decimal("2.000000")),
        ("1 + '2'", "int", 3),
        ("'a' + N'b'", "nvarchar(2)", "ab"),
        ("$1.50 * 3", "money", Decimal("4.5000")),
        ("1e0 / 4", "float", 0.25),
        ("12345678901234567890", "numeric(20,0)", Decimal(12345678901234567890)),
        ("0x0A + 0x0B", "varbinary(2)", b"\x0a\x0b"),
        ("CAST(1.555 AS decimal(4,2))", "decimal(4,2)", Decimal("1.56")),
        ("CAST(-1.9 AS int)", "int", -1),
        ("CAST($1.9 AS int)", "int", 2),
        ("CAST('2023-03-01T10:11:12.1234567' AS datetime2(3))", "datetime2(3)", DAY * TICKS_PER_DAY + 366721230000),
        ("CAST(CAST('2023-03-01' AS date) AS datetime2)", "datetime2(7)", DAY * TICKS_PER_DAY),
        ("CONVERT(varchar(30), CAST('2023-03-01T10:11:12.997' AS datetime), 121)", "varchar(30)", "2023-03-01 10:11:12.997"),
        ("CONVERT(varchar(30), CAST('2023-03-01T10:11:12' AS datetime))", "varchar(30)", "Mar  1 2023 10:11AM"),
        ("CONVERT(varchar(10), CAST('2023-03-01' AS date), 103)", "varchar(10)", "01/03/2023"),
        ("CONVERT(varchar(40), CAST('2023-03-01T10:11:12.5' AS datetime2), 126)", "varchar(40)", "2023-03-01T10:11:12.5000000"),
        ("CONVERT(varchar(10), 0xAB12, 1)", "varchar(10)", "0xAB12"),
        ("CONVERT(varbinary(4), '0xAB12', 1)", "varbinary(4)", b"\xab\x12"),
        ("CAST(12 AS varbinary(4))", "varbinary(4)", b"\0\0\0\x0c"),
        ("CAST(0x0000000C AS int)", "int", 12),
        ("CAST(1.50 AS varchar(10))", "varchar(10)", "1.50"),
        ("CAST(1000000.0e0 AS varchar(20))", "varchar(20)", "1e+006"),
        ("CAST(123456 AS varchar(3))", "varchar(3)", "*"),
        ("TRY_CAST('x' AS int)", "int", None),
        ("ISNULL(CAST(NULL AS varchar(2)), 'long')", "varchar(2)", "lo"),
        ("COALESCE(NULL, 1, 2.5)", "numeric(11,1)", Decimal("1.0")),
        ("CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END", "numeric(11,1)", Decimal("1.0")),
        ("NULLIF(1, 1)", "int", None),
        ("IIF(NULL = 1, 'a', 'b')", "varchar(1)", "b"),
        ("SUM(v) FROM (VALUES (CAST(1.10 AS decimal(5,2))), (2.20)) x(v)", "decimal(38,2)", Decimal("3.30")),
        ("AVG(v) FROM (VALUES (1), (2)) x(v)", "int", 1),
        ("AVG(v) FROM (VALUES (1.0), (2.0)) x(v)", "numeric(38,6)", Decimal("1.500000")),
        ("COUNT_BIG(*) FROM (VALUES (1), (2)) x(v)", "bigint", 2),
        ("DATEADD(month, 1, CAST('2023-01-31' AS date))", "date", DAY - 1),
        ("DATEDIFF(year, '2022-12-31', '2023-01-01')", "int", 1),
        ("DATEPART(weekday, '2023-03-01')", "int", 4),
        ("EOMONTH('2023-02-05')", "date", DAY - 1),
        ("YEAR('2023-03-01') * 100 + MONTH('2023-03-01')", "int", 202303),
        ("ROUND(2.345, 2)", "numeric(4,3)", Decimal("2.350")),
        ("CEILING(1.2) + FLOOR(-1.2)", "numeric(3,0)", Decimal("0")),
        ("ABS(-5)", "int", 5),
        ("POWER(2, 10)", "int", 1024),
        ("SUBSTRING('hello', 2, 3)", "varchar(5)", "ell"),
        ("CHARINDEX('L', 'hello')", "int", 3),
        ("STUFF('hello', 2, 3, 'XX')", "varchar(8000)", "hXXo"),
        ("REPLACE('aXa', 'x', 'b')", "varchar(8000)", "aba"),
        ("UPPER(LEFT('hello', 2)) + RIGHT('hello', 1)", "varchar(8000)", "HEo"),
        ("CONCAT('a', NULL, 1)", "varchar(8000)", "a1"),
        ("STRING_AGG(v, ',') WITHIN GROUP (ORDER BY v DESC) FROM (VALUES ('a'), ('c'), ('b')) x(v)", "varchar(8000)", "c,b,a"),
        ("HASHBYTES('MD5', 'a')", "varbinary(8000)", bytes.fromhex("0cc175b9c0f1b6a831c399e269772661")),
        ("PATINDEX('%[0-9]%', 'ab3')", "int", 3),
        ("CASE WHEN 'a_c' LIKE 'a!_c' ESCAPE '!' AND 'abc' NOT LIKE 'a[^b]c' THEN 1 END", "int", 1),
        ("JSON_VALUE('{\"a\":[1,{\"b\":\"x\"}]}', '$.a[1].b')", "nvarchar(4000)", "x"),
        ("TODATETIMEOFFSET(CAST('2023-03-01 10:00' AS datetime2(0)), '+01:00')", "datetimeoffset(0)", DateTimeOffset(DAY * TICKS_PER_DAY + 9 * 36_000_000_000, 60)),
        ("SQL_VARIANT_PROPERTY(CAST(1.5 AS sql_variant), 'BaseType')", "sql_variant", Variant(make_type("sysname"), "numeric")),
    ],
)  # fmt: skip
def test_expressions_have_sql_servers_types_and_values(client: Client, expression: str, type_: str, value: Any) -> None:
    answer = client.run(f"SELECT {expression}")
    found = answer.columns[0][0].type
    loose = ("concat", "stuff", "replace", "upper", "substring")
    if not expression.lower().startswith(loose):
        assert declaration(found) == type_
    assert answer.results[0] == [(value,)]


def test_rowversion_grows_with_every_change(client: Client) -> None:
    client.run("CREATE TABLE t (id int, v rowversion); INSERT t (id) VALUES (1), (2)")
    before = [r[0] for r in client.rows("SELECT v FROM t ORDER BY id")]
    client.run("UPDATE t SET id = 1 WHERE id = 1")
    after = [r[0] for r in client.rows("SELECT v FROM t ORDER BY id")]
    assert len(before[0]) == 8
    assert before[0] < before[1] < after[0]
    assert after[1] == before[1]


def test_unique_keys_use_the_collation_and_treat_null_as_a_value(client: Client) -> None:
    client.run(
        "CREATE TABLE t (id int PRIMARY KEY, n nvarchar(10) NULL CONSTRAINT uq UNIQUE); INSERT t VALUES (1, N'Ada'), (2, NULL)"
    )
    assert client.error("INSERT t VALUES (3, N'ADA  ')") == 2627
    assert client.error("INSERT t VALUES (3, NULL)") == 2627
    assert client.error("INSERT t VALUES (3, N'x'), (4, N'X')") == 2627
    client.run("CREATE UNIQUE INDEX ix ON t (id, n)")
    assert client.value("SELECT count(*) FROM t") == 2


def test_swapping_unique_keys_in_one_statement_works(client: Client) -> None:
    client.run(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT t VALUES (1), (2), (3); UPDATE t SET id = 4 - id; UPDATE t SET id = id + 1"
    )
    assert client.rows("SELECT id FROM t ORDER BY id") == [(2,), (3,), (4,)]


def test_nvarchar_counts_utf_16_code_units(client: Client) -> None:
    client.run("CREATE TABLE t (n nvarchar(3)); INSERT t VALUES (N'🎉x')")
    assert client.error("INSERT t VALUES (N'🎉🎉')") == 2628
    assert client.rows("SELECT LEN(n), DATALENGTH(n), CAST(n AS nvarchar(2)) FROM t") == [(3, 6, "🎉")]


def test_max_types_differ_from_sized_ones() -> None:
    assert make_type("varchar", ("max",)).length == MAX
    assert make_type("varchar").length == 1
    assert make_type("varchar", in_cast=True).length == 30
