"""--replay-reads: a SELECT runs once."""

from __future__ import annotations

from collections.abc import Callable

from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds import odbc_api
from tests.integration.sandbox_tds.conftest import Listener

QUERY = "SELECT a FROM t"


def test_a_select_runs_once_and_is_replayed(start: Callable[..., Listener]) -> None:
    listener = start(replay_reads=True)
    columns = (Column("a", SqlType("int")),)
    listener.engine.results[QUERY] = (columns, [(n,) for n in range(1000)])
    with listener.odbc() as first, listener.odbc() as second:
        results = [connection.execute(QUERY).fetchall() for connection in (first, second, first)]
    assert [len(rows) for rows in results] == [1000] * 3
    assert [sql for sql, _, _ in listener.engine.executed] == [QUERY]


def test_different_parameters_are_a_different_read(start: Callable[..., Listener]) -> None:
    listener = start(replay_reads=True)
    with listener.odbc() as connection:
        assert [connection.execute("SELECT ?", n).fetchval() for n in (1, 2, 1, 2)] == [1, 2, 1, 2]
    assert len(listener.engine.executed) == 2


def test_statements_that_change_data_always_run(start: Callable[..., Listener]) -> None:
    listener = start(replay_reads=True)
    with listener.odbc() as connection:
        for _ in range(3):
            connection.execute("INSERT one")
    assert len(listener.engine.executed) == 3


def test_without_the_option_every_read_runs(listener: Listener) -> None:
    with listener.odbc() as connection:
        for _ in range(3):
            connection.execute("SELECT 1")
    assert len(listener.engine.executed) == 3


def test_a_cursor_on_a_replayed_statement_has_its_rows(start: Callable[..., Listener]) -> None:
    listener = start(replay_reads=True)
    listener.engine.results[QUERY] = ((Column("a", SqlType("int")),), [(1,), (2,)])
    with odbc_api.Connection(listener.connection_string()) as connection:
        for kind in (odbc_api.STATIC, odbc_api.FORWARD_ONLY, odbc_api.STATIC, odbc_api.FORWARD_ONLY):
            rows = connection.execute(QUERY, kind)
            assert [rows.fetch(), rows.fetch(), rows.fetch()] == ["1", "2", None]
            rows.close()
