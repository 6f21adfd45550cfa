"""Several results, row counts, errors and messages of one batch, as drivers report them."""

from __future__ import annotations

import pyodbc
import pytest
from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds.conftest import Listener


def test_results_and_row_counts_arrive_in_order(listener: Listener) -> None:
    seen = []
    with listener.odbc() as connection:
        cursor = connection.execute("MANY 3")
        while True:
            seen.append(cursor.fetchall()[0][0] if cursor.description else cursor.rowcount)
            if not cursor.nextset():
                break
    assert seen == [0, 0, 1, 1, 2, 2]


def test_an_error_has_its_number_state_and_text(listener: Listener) -> None:
    with listener.odbc() as connection:
        with pytest.raises(pyodbc.DataError) as caught:
            connection.execute("FAIL 8134")
        assert caught.value.args[0] == "22012"
        assert "It failed with 8134. (8134)" in caught.value.args[1]
        assert connection.execute("SELECT 1").fetchval() == 1


def test_an_error_in_a_statement_with_parameters_is_reported(listener: Listener) -> None:
    with listener.odbc() as connection, pytest.raises(pyodbc.Error, match=r"It failed with @P1\. \(8134\)|8134"):
        connection.execute("FAIL 8134 ?", 1)


def test_an_information_message_is_not_an_error(listener: Listener) -> None:
    with listener.odbc() as connection:
        (message,) = connection.execute("PRINT hello").messages
        assert message[1].endswith("hello")


def test_use_reports_the_new_database_to_the_driver(listener: Listener) -> None:
    with listener.odbc() as connection:
        connection.execute("USE sales")
        assert connection.getinfo(pyodbc.SQL_DATABASE_NAME) == "sales"


def test_a_batch_without_a_result_completes(listener: Listener) -> None:
    with listener.odbc() as connection:
        assert connection.execute("NOTHING").description is None


def test_a_bug_in_the_engine_ends_the_session_with_a_message(listener: Listener) -> None:
    connection = listener.odbc()
    with pytest.raises(pyodbc.Error, match="Internal error in the sandbox: RuntimeError"):
        connection.execute("CRASH now")
    with pytest.raises(pyodbc.Error):
        connection.execute("SELECT 1")
    with listener.odbc() as another:
        assert another.execute("SELECT 1").fetchval() == 1


def test_a_long_result_streams(listener: Listener) -> None:
    with listener.odbc() as connection:
        cursor = connection.execute("COUNT 100000")
        assert tuple(cursor.fetchone()) == (0, "row 0")
        assert sum(1 for _ in cursor) == 99_999


def test_a_wide_result_arrives(listener: Listener) -> None:
    columns = tuple(Column(f"c{n}", SqlType("int")) for n in range(1024))
    row = tuple(range(1024))
    listener.engine.results["WIDE"] = (columns, [row] * 3)
    with listener.odbc() as connection:
        assert [tuple(r) for r in connection.execute("WIDE").fetchall()] == [row] * 3
