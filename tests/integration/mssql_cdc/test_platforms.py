"""Reading from products that differ from SQL Server on a machine of one's own."""

from __future__ import annotations

from tests.integration.mssql_cdc.source_server import SourceDatabase, read


def test_a_database_with_another_id_and_another_catalog_collation_is_read(azure: SourceDatabase) -> None:
    azure.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name nvarchar(20))")
    azure.capture("dbo.Persons")
    azure.run("INSERT INTO dbo.Persons VALUES (1, N'Ada')")
    assert read(azure.config("Persons")).rows == [("Insert", {"Id": 1, "Name": "Ada"})]
