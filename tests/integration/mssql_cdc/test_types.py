"""Every documented type, from T-SQL through the sandbox and Microsoft's driver to JSON."""

from __future__ import annotations

import json

import pytest

from tests.integration.mssql_cdc.source_server import SourceDatabase, read

TYPES = [
    ("tinyint", "255", "255"),
    ("smallint", "-32768", "-32768"),
    ("int", "2147483647", "2147483647"),
    ("bigint", "-9223372036854775808", "-9223372036854775808"),
    ("bit", "1", "true"),
    ("decimal(38,0)", "-99999999999999999999999999999999999999", '"-99999999999999999999999999999999999999"'),
    ("decimal(38,10)", "0.0000000001", '"0.0000000001"'),
    ("numeric(10,2)", "12.5", '"12.50"'),
    ("money", "-922337203685477.5808", '"-922337203685477.5808"'),
    ("smallmoney", "1.5", '"1.5000"'),
    ("float", "0.1", "0.1"),
    ("real", "0.1", "0.1"),
    ("char(5)", "'ab'", '"ab   "'),
    ("varchar(20)", "'é€ \"q\" \\'", '"é€ \\"q\\" \\\\"'),
    ("nchar(3)", "N'日'", '"日  "'),
    ("nvarchar(20)", "N'😀 b '", '"😀 b "'),
    ("varchar(max)", "'long'", '"long"'),
    ("nvarchar(max)", "N'länger'", '"länger"'),
    ("text", "'text'", '"text"'),
    ("ntext", "N'ntext é'", '"ntext é"'),
    ("xml", "N'<a>é</a>'", '"<a>é</a>"'),
    ("binary(4)", "0x00FF", '"AP8AAA=="'),
    ("varbinary(8)", "0x00FF", '"AP8="'),
    ("varbinary(max)", "0x00FF", '"AP8="'),
    ("image", "0x00FF", '"AP8="'),
    ("date", "'0001-01-01'", '"0001-01-01"'),
    ("time(0)", "'23:59:59'", '"23:59:59"'),
    ("time(3)", "'23:59:59.12'", '"23:59:59.120"'),
    ("time(7)", "'23:59:59.1234567'", '"23:59:59.1234567"'),
    ("datetime", "'2024-02-29T23:59:59.998'", '"2024-02-29T23:59:59.997"'),
    ("smalldatetime", "'2024-02-29T23:59:00'", '"2024-02-29T23:59:00"'),
    ("datetime2(0)", "'2024-02-29T23:59:59'", '"2024-02-29T23:59:59"'),
    ("datetime2(6)", "'9999-12-31T23:59:59.9'", '"9999-12-31T23:59:59.900000"'),
    ("datetime2(7)", "'9999-12-31T23:59:59.9999999'", '"9999-12-31T23:59:59.9999999"'),
    ("datetimeoffset(7)", "'2024-02-29T23:59:59.1234567-11:30'", '"2024-02-29T23:59:59.1234567-11:30"'),
    ("datetimeoffset(0)", "'2024-02-29T23:59:59+02:00'", '"2024-02-29T23:59:59+02:00"'),
    ("uniqueidentifier", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", '"6F9619FF-8B86-D011-B42D-00C04FC964FF"'),
    ("sql_variant", "CAST(1.5 AS decimal(10,2))", '{"type":"decimal(10,2)","value":"1.50"}'),
    ("sql_variant", "CAST(7 AS int)", '{"type":"int","value":7}'),
    ("sql_variant", "CAST(0.1 AS float)", '{"type":"float","value":0.1}'),
    ("sql_variant", "CAST(-3.4e38 AS real)", '{"type":"real","value":-3.4e38}'),
    ("sql_variant", "N'text'", '{"type":"nvarchar(4)","value":"text"}'),
    ("sql_variant", "CAST('01:02:03.1' AS time(3))", '{"type":"time(3)","value":"01:02:03.100"}'),
    ("hierarchyid", "hierarchyid::Parse('/1/2/')", '"/1/2/"'),
    ("geometry", "geometry::STGeomFromText('POINT (1 2)', 4326)", '{"wkt":"POINT (1 2)","srid":4326}'),
    ("geography", "geography::STGeomFromText('POINT (1 2)', 4326)", '{"wkt":"POINT (1 2)","srid":4326}'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "literal", "expected"), TYPES, ids=[f"{kind}={literal}" for kind, literal, _ in TYPES]
)
def test_a_type_arrives_without_loss(database: SourceDatabase, kind: str, literal: str, expected: str) -> None:
    database.run(f"CREATE TABLE dbo.T (Id int PRIMARY KEY, V {kind} NULL)")
    database.capture("dbo.T")
    database.run(f"INSERT INTO dbo.T VALUES (1, {literal}), (2, NULL)")
    values = read(database.config("T")).lines
    assert values[0].startswith(f'{{"data":{{"Id":1,"V":{expected}}},'.encode())
    assert values[1].startswith(b'{"data":{"Id":2,"V":null},')


def test_a_rowversion_arrives_as_hex_digits(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (Id int PRIMARY KEY, V rowversion)")
    database.capture("dbo.T")
    database.run("INSERT INTO dbo.T (Id) VALUES (1)")
    stored = database.rows("SELECT V FROM dbo.T")[0][0]
    assert json.loads(read(database.config("T")).lines[0])["data"] == {"Id": 1, "V": stored.hex()}


def test_half_of_a_surrogate_pair_is_replaced_with_a_warning(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (Id int PRIMARY KEY, V nvarchar(9), W nvarchar(max), X varchar(9))")
    database.capture("dbo.T")
    long = "länger 🦜 " * 3000
    database.run("INSERT INTO dbo.T VALUES (1, N'🦜', N'x', 'é')")
    database.run("INSERT INTO dbo.T VALUES (2, LEFT(N'a🦜', 2), ?, 'é')", long)
    database.run("INSERT INTO dbo.T VALUES (3, NULL, LEFT(N'🦜', 1) + N'b', NULL)")
    reading = read(database.config("T"))
    assert [row for _, row in reading.rows] == [
        {"Id": 1, "V": "🦜", "W": "x", "X": "é"},
        {"Id": 2, "V": "a\ufffd", "W": long, "X": "é"},
        {"Id": 3, "V": None, "W": "\ufffdb", "X": None},
    ]
    warnings = [line for line in reading.telemetry if line.get("event") == "mssql.half_pair"]
    assert [(line["table"], line["column"], line["key"]) for line in warnings] == [("dbo.T", "V", "Id=2")]
    database.run("INSERT INTO dbo.T VALUES (4, N'whole', NULL, NULL)")
    assert read(database.config("T"), reading.state).rows == [("Insert", {"Id": 4, "V": "whole", "W": None, "X": None})]
