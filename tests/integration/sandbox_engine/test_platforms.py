"""What differs on Azure SQL Database."""

from __future__ import annotations

from pathlib import Path

from dstream_sandbox.sqlserver.engine import open_engine
from dstream_sandbox.sqlserver.engine.platforms import AZURE_SQL_DATABASE

from tests.integration.sandbox_engine.client import Client, connect


def test_columns_of_different_collations_cannot_be_compared(client: Client) -> None:
    client.run("CREATE TABLE T (A nvarchar(9) COLLATE Latin1_General_CI_AS, B nvarchar(9))")
    client.run("INSERT INTO T VALUES (N'a', N'a')")
    assert client.error("SELECT 1 FROM T WHERE A = B") == 468
    assert client.error("SELECT 1 FROM T AS x JOIN T AS y ON x.A < y.B") == 468
    assert client.rows("SELECT 1 FROM T WHERE A = B COLLATE DATABASE_DEFAULT AND A = N'A' AND B = N'A'") == [(1,)]


def test_azure_has_its_own_database_ids_and_catalog_collation(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, user="sa", password="secret", platform=AZURE_SQL_DATABASE)
    client = connect(engine, "master")
    client.run("CREATE TABLE dbo.Names (Name sysname)")
    assert client.rows("SELECT 1 FROM sys.databases WHERE database_id = DB_ID()") == []
    assert client.rows("SELECT 1 FROM sys.databases WHERE name = DB_NAME()") == [(1,)]
    assert client.error("SELECT 1 FROM dbo.Names AS n JOIN sys.columns AS c ON c.name = n.Name") == 468
    assert client.error("SELECT 1 FROM sys.dm_server_services") == 208
    client.close()
    engine.close()
