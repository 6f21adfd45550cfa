"""Real drivers on the real engine: what only wire and engine together can get wrong."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pymssql
import pyodbc
import pytest

from tests.integration.sandbox_tds.server_process import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[ServerProcess]:
    process = ServerProcess.start(tmp_path_factory.mktemp("server"), certificate)
    with process.odbc() as connection:
        connection.execute("CREATE DATABASE demo")
    with process.odbc("demo") as connection:
        connection.execute(
            "CREATE TABLE dbo.orders (id int IDENTITY CONSTRAINT pk_orders PRIMARY KEY, name nvarchar(50) NOT NULL,"
            " amount decimal(12,2) NULL, at datetime2(3), rv rowversion, body varchar(max) DEFAULT 'none',"
            " twice AS (id * 2))"
        )
        connection.execute("CREATE UNIQUE INDEX by_name ON dbo.orders (name DESC, id)")
        connection.execute(
            "CREATE PROCEDURE dbo.twice @in int, @out int OUTPUT AS BEGIN SET @out = @in * 2; RETURN 3 END"
        )
    yield process
    assert process.stop() == 0


@pytest.fixture
def odbc(server: ServerProcess) -> Iterator[pyodbc.Connection]:
    connection = server.odbc("demo")
    yield connection
    connection.close()


@pytest.fixture
def table(odbc: pyodbc.Connection, request: pytest.FixtureRequest) -> str:
    """A table (id int primary key, v int) for this test."""
    name = f"dbo.[{request.node.name}]"
    odbc.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)")
    return name


VALUES: list[tuple[str, Any]] = [
    ("tinyint", 200),
    ("bigint", -(2**63)),
    ("bit", True),
    ("decimal(38,10)", Decimal("-1234567890123456789012345678.1234567890")),
    ("money", Decimal("922337203685477.5807")),
    ("float", 1.5e300),
    ("varchar(20)", "héllo €"),
    ("varchar(max)", "x" * 20_000),
    ("nvarchar(20)", "日本😀"),
    ("nvarchar(max)", "日" * 20_000),
    ("ntext", "日"),
    ("xml", "<a>é</a>"),
    ("varbinary(max)", b"z" * 20_000),
    ("image", b"image"),
    ("date", dt.date(1, 1, 1)),
    ("datetime", dt.datetime(2024, 2, 29, 12, 34, 56, 790000)),
    ("smalldatetime", dt.datetime(2024, 2, 29, 12, 34)),
    ("datetime2(6)", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("uniqueidentifier", UUID("00112233-4455-6677-8899-aabbccddeeff")),
]


def test_values_round_trip_through_tables(odbc: pyodbc.Connection) -> None:
    declared = ", ".join(f"c{n} {sql_type} NULL" for n, (sql_type, _) in enumerate(VALUES))
    odbc.execute(f"CREATE TABLE dbo.typed (id int, {declared})")
    marks = ", ".join("?" * len(VALUES))
    odbc.execute(f"INSERT INTO dbo.typed VALUES (1, {marks})", [value for _, value in VALUES])
    odbc.execute(f"INSERT INTO dbo.typed VALUES (2, {marks})", [None] * len(VALUES))
    first, second = odbc.execute("SELECT * FROM dbo.typed ORDER BY id").fetchall()
    expected = [str(value).upper() if isinstance(value, UUID) else value for _, value in VALUES]
    assert list(first)[1:] == expected
    assert list(second)[1:] == [None] * len(VALUES)


def test_fetching_streams_a_long_result(odbc: pyodbc.Connection) -> None:
    cursor = odbc.execute("SELECT value, CONCAT(N'row ', value) FROM GENERATE_SERIES(1, 100000)")
    assert tuple(cursor.fetchone()) == (1, "row 1")
    assert sum(1 for _ in cursor) == 99_999


def test_two_open_transactions_can_commit_in_reverse_order(server: ServerProcess, table: str) -> None:
    with server.odbc("demo", autocommit=False) as first, server.odbc("demo", autocommit=False) as second:
        first.execute(f"INSERT INTO {table} VALUES (1, 1)")
        second.execute(f"INSERT INTO {table} VALUES (2, 2)")
        assert first.execute("SELECT @@TRANCOUNT").fetchval() == 1
        second.commit()
        assert [row.id for row in first.execute(f"SELECT id FROM {table} ORDER BY id")] == [1, 2]
        first.commit()


def test_a_writer_waiting_for_a_row_can_be_cancelled(server: ServerProcess, table: str) -> None:
    with server.odbc("demo", autocommit=False) as holder, server.odbc("demo") as waiter:
        holder.execute(f"INSERT INTO {table} VALUES (1, 1)")
        holder.commit()
        holder.execute(f"UPDATE {table} SET v = 2")
        waiter.timeout = 1
        started = time.monotonic()
        with pytest.raises(pyodbc.OperationalError, match="Query timeout expired"):
            waiter.execute(f"UPDATE {table} SET v = 3")
        assert time.monotonic() - started < 10
        holder.rollback()
        assert waiter.execute(f"UPDATE {table} SET v = 4").rowcount == 1


@pytest.mark.parametrize(
    "sql",
    [
        "WAITFOR DELAY '00:01:00'",
        "SELECT COUNT_BIG(*) FROM GENERATE_SERIES(1, 100000) a CROSS JOIN GENERATE_SERIES(1, 100000) b",
    ],
)
def test_long_running_statements_can_be_cancelled(odbc: pyodbc.Connection, sql: str) -> None:
    odbc.timeout = 1
    started = time.monotonic()
    with pytest.raises(pyodbc.OperationalError, match="Query timeout expired"):
        odbc.execute(sql)
    assert time.monotonic() - started < 10
    assert odbc.execute("SELECT 1").fetchval() == 1


def test_a_transaction_can_roll_back_to_a_savepoint(odbc: pyodbc.Connection, table: str) -> None:
    odbc.autocommit = False
    odbc.execute(f"INSERT INTO {table} VALUES (1, 1)")
    odbc.execute("SAVE TRANSACTION here")
    odbc.execute(f"UPDATE {table} SET v = 2")
    odbc.execute("ROLLBACK TRANSACTION here")
    odbc.commit()
    assert odbc.execute(f"SELECT v FROM {table}").fetchval() == 1


@pytest.mark.parametrize(
    ("sql", "state", "number"),
    [
        ("SELECT 1/0", "22012", 8134),
        ("SELECT * FROM dbo.missing", "42S02", 208),
        ("SELECT missing FROM dbo.orders", "42S22", 207),
        ("SELECT CAST('x' AS int)", "22018", 245),
        ("INSERT INTO dbo.orders (name) VALUES (NULL)", "23000", 515),
        ("SELEC 1", "42000", 102),
        ("EXEC dbo.nosuch", "42000", 2812),
        ("THROW 50001, 'mine', 1", "42000", 50001),
    ],
)
def test_errors_arrive_with_their_numbers(odbc: pyodbc.Connection, sql: str, state: str, number: int) -> None:
    with pytest.raises(pyodbc.Error, match=rf"\({number}\)") as caught:
        odbc.execute(sql).fetchall()
    if number != 102:
        assert caught.value.args[0] == state


def test_a_procedure_returns_its_output_and_its_status(server: ServerProcess) -> None:
    with server.freetds("demo") as connection, connection.cursor() as cursor:
        assert cursor.callproc("dbo.twice", (21, pymssql.output(int))) == (21, 42)
        assert cursor.returnvalue == 3


def test_set_options_inside_a_parameterised_statement_end_with_it(odbc: pyodbc.Connection) -> None:
    odbc.execute("SET NOCOUNT ON; SELECT ?", 1)
    cursor = odbc.execute("SELECT 1")
    cursor.fetchall()
    odbc.execute("CREATE TABLE #mine (id int)")
    assert odbc.execute("INSERT INTO #mine VALUES (1)").rowcount == 1
    odbc.execute("SELECT ? AS id INTO #inner", 1)
    with pytest.raises(pyodbc.ProgrammingError, match=r"\(208\)"):
        odbc.execute("SELECT * FROM #inner")


def test_tables_and_columns_are_listed(odbc: pyodbc.Connection) -> None:
    cursor = odbc.cursor()
    assert [tuple(row) for row in cursor.tables(table="ord%", schema="dbo")] == [
        ("demo", "dbo", "orders", "TABLE", None)
    ]
    found = {row.column_name: row for row in cursor.columns(table="orders").fetchall()}
    shown = {
        name: (row.type_name, row.column_size, row.buffer_length, row.decimal_digits, row.nullable)
        for name, row in found.items()
    }
    assert shown == {
        "id": ("int identity", 10, 4, 0, 0),
        "name": ("nvarchar", 50, 100, None, 0),
        "amount": ("decimal", 12, 14, 2, 1),
        "at": ("datetime2", 23, 16, 3, 1),
        "rv": ("timestamp", 8, 8, None, 0),
        "body": ("varchar", 0, 0, None, 1),
        "twice": ("int", 10, 4, 0, 1),
    }
    assert found["body"].column_def == "('none')"


def test_metadata_of_another_catalog_is_found_from_master(server: ServerProcess) -> None:
    with server.odbc() as connection:
        cursor = connection.cursor()
        assert [row.table_name for row in cursor.tables(catalog="demo", table="orders")] == ["orders"]
        assert len(cursor.columns(table="orders", catalog="demo").fetchall()) == 7
        assert connection.execute("SELECT DB_NAME()").fetchval() == "master"


def test_databases_schemas_and_table_types_are_listed(odbc: pyodbc.Connection) -> None:
    cursor = odbc.cursor()
    assert "demo" in [row.table_cat for row in cursor.tables(catalog="%", schema="", table="").fetchall()]
    assert "dbo" in [row.table_schem for row in cursor.tables(catalog="", schema="%", table="").fetchall()]
    types = cursor.tables(catalog="", schema="", table="", tableType="%").fetchall()
    assert [row.table_type for row in types] == ["SYSTEM TABLE", "TABLE", "VIEW"]


def test_keys_and_indexes_are_listed(odbc: pyodbc.Connection) -> None:
    cursor = odbc.cursor()
    assert [tuple(row)[3:] for row in cursor.primaryKeys("orders")] == [("id", 1, "pk_orders")]
    assert [tuple(row)[3:10] for row in cursor.statistics("orders")] == [
        (None, None, None, 0, None, None, None),
        (0, "orders", "pk_orders", 1, 1, "id", "A"),
        (0, "orders", "by_name", 3, 1, "name", "D"),
        (0, "orders", "by_name", 3, 2, "id", "A"),
    ]
    assert [row.column_name for row in cursor.rowVerColumns("orders")] == ["rv"]
    assert cursor.foreignKeys("orders").fetchall() == []


def test_the_columns_that_identify_a_row_are_its_primary_key(odbc: pyodbc.Connection) -> None:
    row = odbc.execute("EXEC sp_special_columns_100 N'orders'").fetchone()
    assert (row.SCOPE, row.COLUMN_NAME, row.TYPE_NAME, row.PSEUDO_COLUMN) == (1, "id", "int identity", 1)


def test_procedures_and_their_parameters_are_listed(odbc: pyodbc.Connection) -> None:
    cursor = odbc.cursor()
    assert [row.procedure_name for row in cursor.procedures("twice")] == ["twice;1"]
    assert [(row.column_name, row.column_type, row.type_name) for row in cursor.procedureColumns("twice")] == [
        ("@RETURN_VALUE", 5, "int"),
        ("@in", 1, "int"),
        ("@out", 2, "int"),
    ]


def test_a_statement_is_described_by_call_and_by_exec(odbc: pyodbc.Connection) -> None:
    for sql in ("{call sp_describe_first_result_set(?)}", "EXEC sp_describe_first_result_set ?"):
        rows = odbc.execute(sql, "SELECT name, amount FROM dbo.orders").fetchall()
        assert [(row.name, row.system_type_name) for row in rows] == [
            ("name", "nvarchar(50)"),
            ("amount", "decimal(12,2)"),
        ]


def test_bulk_load_converts_to_the_columns_types(server: ServerProcess) -> None:
    with server.odbc("demo") as connection:
        connection.execute("CREATE TABLE dbo.loaded (id bigint, name nvarchar(20), amount decimal(9,2))")
    with server.freetds("demo") as connection:
        connection.bulk_copy("dbo.loaded", [(1, "one", 1.5), (2, None, None)])
        cursor = connection.cursor()
        cursor.execute("SELECT id, amount FROM dbo.loaded ORDER BY id")
        assert cursor.fetchall() == [(1, Decimal("1.50")), (2, None)]


def test_null_parameters_take_the_columns_types(odbc: pyodbc.Connection) -> None:
    odbc.execute("CREATE TABLE dbo.nullable (id int, at datetime2, raw varbinary(10), who uniqueidentifier)")
    odbc.execute("INSERT INTO dbo.nullable VALUES (?, ?, ?, ?)", None, None, None, None)
    cursor = odbc.cursor()
    cursor.fast_executemany = True
    cursor.executemany("INSERT INTO dbo.nullable (id, at) VALUES (?, ?)", [(n, None) for n in range(500)])
    assert tuple(odbc.execute("SELECT COUNT(*), COUNT(id) FROM dbo.nullable").fetchone()) == (501, 500)


def test_use_changes_the_database_of_the_session(odbc: pyodbc.Connection) -> None:
    odbc.execute("USE master")
    assert odbc.getinfo(pyodbc.SQL_DATABASE_NAME) == "master"
    assert odbc.execute("SELECT DB_NAME()").fetchval() == "master"
