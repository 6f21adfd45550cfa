"""Reading from products that differ from SQL Server on a machine of one's own."""

from __future__ import annotations

import contextlib
import threading

import pyodbc

from dstream.sdk import Stop
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, read, wait_until


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


def test_a_failover_between_two_polls_is_noticed(azure: SourceDatabase) -> None:
    azure.run("CREATE TABLE dbo.T (Id int PRIMARY KEY)")
    azure.capture("dbo.T")
    azure.run("INSERT INTO dbo.T VALUES (1)")

    def fail_over(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 1 and not failed_over.is_set():
            failed_over.set()
            azure.server.fault(action="failover", entity=azure.name, statement="its clients", times=1)
            with contextlib.suppress(pyodbc.Error):
                azure.run("SELECT 1 AS [disconnects its clients]")
            wait_until(insert, "the server is available again")
        if len(reading.lines) == 2:
            stop.set()

    def insert() -> bool:
        with contextlib.suppress(pyodbc.Error):
            azure.connection = azure.server.connect(azure.name)
            azure.run("INSERT INTO dbo.T SELECT 2 WHERE NOT EXISTS (SELECT 1 FROM dbo.T WHERE Id = 2)")
            return True
        return False

    failed_over = threading.Event()
    reading = read(azure.config("T", poll_interval="10ms"), on_item=fail_over, once=False)
    assert [row["Id"] for _, row in reading.rows] == [1, 2]
    assert "mssql.reconnected" in reading.told
