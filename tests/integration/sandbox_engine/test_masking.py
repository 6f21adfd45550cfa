"""Dynamic data masking of tables and their change tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dstream_sandbox.sqlserver.session import Engine

from tests.integration.sandbox_engine.client import Client, connect

MASK = "MASKED WITH (FUNCTION = 'default()')"


@pytest.fixture
def reader(tracked: Client, engine: Engine, database: str) -> Iterator[Client]:
    """A login that can read everything in dbo and cdc, without UNMASK."""
    tracked.run(
        f"CREATE TABLE T (Id int PRIMARY KEY, Name nvarchar(9) {MASK}, Code char(2) {MASK}, Pay money {MASK} NULL, "
        f"Born date {MASK}, Pin varbinary(4) {MASK})"
    )
    tracked.run("EXEC sys.sp_cdc_enable_table @source_schema = 'dbo', @source_name = 'T', @role_name = NULL")
    tracked.run("INSERT INTO T VALUES (1, N'Ada', 'ab', 7, '2001-02-03', 0x0102)")
    tracked.run("INSERT INTO T VALUES (2, N'Bob', 'cd', NULL, '2001-02-03', 0x0102)")
    tracked.run(f"CREATE LOGIN reader_{database} WITH PASSWORD = 'Reading-horse-1'")
    tracked.run(f"CREATE USER reader FOR LOGIN reader_{database}")
    tracked.run("GRANT SELECT ON SCHEMA::dbo TO reader; GRANT SELECT ON SCHEMA::cdc TO reader")
    client = connect(engine, database, user=f"reader_{database}", password="Reading-horse-1")
    yield client
    client.close()


@pytest.mark.parametrize("table", ["dbo.T", "cdc.dbo_T_CT"])
def test_results_are_masked_but_conditions_are_not(tracked: Client, reader: Client, table: str) -> None:
    shown = "Id, Name, Code, CONVERT(int, Pay), DATEDIFF(year, '1900-01-01', Born), Pin"
    assert reader.rows(f"SELECT {shown} FROM {table}") == [
        (1, "xxxx", "xx", 0, 0, b"\0"),
        (2, "xxxx", "xx", None, 0, b"\0"),
    ]
    assert reader.rows(f"SELECT Id, UPPER(Name) FROM {table} WHERE Name = N'Ada'") == [(1, "xxxx")]
    assert reader.rows(f"SELECT x.* FROM (SELECT Name FROM {table}) AS x") == [("xxxx",), ("xxxx",)]
    assert tracked.rows(f"SELECT Name FROM {table}") == [("Ada",), ("Bob",)]


def test_unmask_can_be_granted_on_a_schema(tracked: Client, reader: Client) -> None:
    question = "SELECT HAS_PERMS_BY_NAME(N'cdc.[dbo_T_CT]', N'OBJECT', N'UNMASK', N'Name', N'COLUMN')"
    assert reader.value(question) == 0
    tracked.run("GRANT UNMASK ON SCHEMA::cdc TO reader")
    assert reader.value(question) == 1
    assert reader.rows("SELECT Name FROM cdc.dbo_T_CT") == [("Ada",), ("Bob",)]
    assert reader.rows("SELECT Name FROM dbo.T") == [("xxxx",), ("xxxx",)]


def test_capture_copies_masks_to_the_change_table(reader: Client) -> None:
    masked = [("Name",), ("Code",), ("Pay",), ("Born",), ("Pin",)]
    assert reader.rows("SELECT name FROM sys.masked_columns WHERE object_id = OBJECT_ID('cdc.dbo_T_CT')") == masked
    assert reader.rows("SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.T') AND is_masked = 1") == masked
    assert reader.rows("SELECT column_name FROM cdc.captured_columns WHERE masking_function = 'default()'") == masked
