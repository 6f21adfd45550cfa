"""Server cursors through the ODBC API, which requests them for cursors that are not forward-only."""

from __future__ import annotations

import pytest
from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds import odbc_api as odbc
from tests.integration.sandbox_tds.conftest import Listener

QUERY = "SELECT n, name FROM numbers"


@pytest.mark.parametrize("kind", [odbc.STATIC, odbc.KEYSET, odbc.DYNAMIC])
def test_a_scrollable_cursor_moves_in_every_direction(listener: Listener, kind: int) -> None:
    columns = (Column("n", SqlType("int")), Column("name", SqlType("nvarchar", 10)))
    listener.engine.results[QUERY] = (columns, [(n, f"row {n}") for n in range(1, 8)])
    with odbc.Connection(listener.connection_string()) as connection:
        rows = connection.execute(QUERY, kind)
        assert rows.column_count() == 2
        assert [rows.fetch() for _ in range(3)] == ["1", "2", "3"]
        assert rows.fetch(odbc.LAST) == "7"
        assert rows.fetch(odbc.NEXT) is None
        assert rows.fetch(odbc.PRIOR) == "7"
        assert rows.fetch(odbc.FIRST) == "1"
        assert rows.fetch(odbc.PRIOR) is None
        assert rows.fetch(odbc.NEXT) == "1"
        assert rows.fetch(odbc.ABSOLUTE, 4) == "4"
        assert rows.text(2) == "row 4"
        assert rows.fetch(odbc.RELATIVE, 2) == "6"
        assert rows.fetch(odbc.RELATIVE, -3) == "3"
        assert rows.fetch(odbc.ABSOLUTE, -1) == "7"
        assert rows.fetch(odbc.ABSOLUTE, 100) is None
        rows.close()
        assert connection.execute("SELECT 1").fetch() == "1"


def test_a_cursor_on_an_empty_result_has_no_rows(listener: Listener) -> None:
    listener.engine.results[QUERY] = ((Column("n", SqlType("int")),), [])
    with odbc.Connection(listener.connection_string()) as connection:
        assert connection.execute(QUERY, odbc.STATIC).fetch() is None


def test_an_error_inside_a_cursor_is_reported(listener: Listener) -> None:
    with odbc.Connection(listener.connection_string()) as connection, pytest.raises(odbc.OdbcError, match="42S02"):
        connection.execute("SELECT FAIL 208", odbc.STATIC)
