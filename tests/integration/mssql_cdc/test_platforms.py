"""Reading from products that differ from SQL Server on a machine of one's own."""

from __future__ import annotations

from tests.integration.mssql_cdc.source_server import SourceDatabase, read


def test_a_database_with_another_id_and_another_catalog_collation_is_read(azure: SourceDatabase) -> None:
    azure.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name nvarchar(20))")
    azure.capture("dbo.Persons")
    azure.run("INSERT INTO dbo.Persons VALUES (1, N'Ada')")
    assert read(azure.config("Persons")).rows == [("Insert", {"Id": 1, "Name": "Ada"})]


def test_an_unchanged_large_value_is_passed_on_where_capture_keeps_it(azure: SourceDatabase) -> None:
    azure.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name nvarchar(20), Doc nvarchar(max), Note nvarchar(max))")
    azure.capture("dbo.Persons")
    azure.run("INSERT INTO dbo.Persons VALUES (1, N'Ada', N'doc', NULL)")
    azure.run("UPDATE dbo.Persons SET Name = N'B'")
    renamed = read(azure.config("Persons")).events[1]
    assert renamed["data"] == {"Id": 1, "Name": "B", "Doc": "doc"}
    assert renamed["metadata"]["Unchanged"] == ["Note"]
    assert renamed["before"] == {"Id": 1, "Name": "Ada"}
