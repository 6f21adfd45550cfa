"""RPC: procedures by name, prepared statements, and their descriptions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pymssql
import pyodbc
import pytest
from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds.conftest import Listener


def test_a_procedure_returns_its_status_and_output_parameters(listener: Listener) -> None:
    with listener.freetds() as connection, connection.cursor() as cursor:
        values = cursor.callproc("double", (21, pymssql.output(int)))
        assert values == (21, 42)
        assert cursor.returnvalue == 7


def test_a_procedure_returns_its_result(listener: Listener) -> None:
    with listener.odbc() as connection:
        assert tuple(connection.execute("{call show(?, ?)}", 1, "two").fetchone()) == (1, "two")
    assert listener.engine.called[-1][0] == "show"


def test_an_unknown_procedure_is_error_2812(listener: Listener) -> None:
    with listener.odbc() as connection, pytest.raises(pyodbc.ProgrammingError, match=r"\(2812\)"):
        connection.execute("{call nosuch(?)}", 1)


def test_a_repeated_statement_is_prepared_once(listener: Listener) -> None:
    with listener.odbc() as connection:
        cursor = connection.cursor()
        assert [cursor.execute("SELECT ?", n).fetchval() for n in range(5)] == list(range(5))
        assert tuple(cursor.execute("SELECT ?, ?", 1, "x").fetchone()) == (1, "x")


def test_executemany_sends_every_row(listener: Listener) -> None:
    with listener.odbc() as connection:
        connection.cursor().executemany("INSERT ?, ?", [(n, str(n)) for n in range(50)])
    assert listener.engine.inserted == [(n, str(n)) for n in range(50)]


def test_columns_are_described_without_running_the_statement(listener: Listener) -> None:
    listener.engine.results["SELECT a"] = ((Column("a", SqlType("decimal", precision=9, scale=1)),), [])
    rows = []
    with listener.odbc() as connection:
        rows = connection.execute("{call sp_describe_first_result_set(?)}", "SELECT a").fetchall()
    assert not listener.engine.executed
    (row,) = rows
    assert (row.name, row.system_type_name, row.max_length, row.tds_type_id) == ("a", "decimal(9,1)", 5, 0x6A)


def test_fast_executemany_sends_arrays(listener: Listener, wait_until: Callable[[Callable[[], bool]], None]) -> None:
    # In a separate process: pyodbc holds the GIL while it requests the parameters' types.
    program = f"""
import pyodbc
connection = pyodbc.connect({listener.connection_string("Encrypt=no")!r}, autocommit=True)
cursor = connection.cursor()
cursor.fast_executemany = True
cursor.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(1000)])
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert [tuple(p.value for p in params) for _, params, _ in listener.engine.executed] == [
        (n, n) for n in range(1000)
    ]
