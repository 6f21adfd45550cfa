"""ATTENTION before, during and after a result, and clients that disconnect."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyodbc
import pytest

from tests.integration.sandbox_tds.conftest import Listener

Wait = Callable[[Callable[[], bool]], None]


@pytest.mark.parametrize("encrypt", ["no", "yes"])
def test_a_query_timeout_cancels_the_query_but_not_the_session(listener: Listener, encrypt: str) -> None:
    with listener.odbc(f"Encrypt={encrypt}") as connection:
        connection.timeout = 1
        started = time.monotonic()
        with pytest.raises(pyodbc.OperationalError, match="Query timeout expired"):
            connection.execute("SLEEP 60")
        assert time.monotonic() - started < 10
        assert listener.engine.cancelled == 1
        assert connection.execute("SELECT 1").fetchval() == 1


@pytest.mark.parametrize("encrypt", ["no", "yes"])
def test_a_result_can_be_cancelled_midway(listener: Listener, encrypt: str) -> None:
    with listener.odbc(f"Encrypt={encrypt}") as connection:
        cursor = connection.execute("COUNT 50000000")
        assert cursor.fetchone()[0] == 0
        cursor.cancel()
        cursor.close()
        assert connection.execute("SELECT 1").fetchval() == 1
    assert listener.engine.cancelled == 1


def test_freetds_can_cancel_a_result_midway(listener: Listener) -> None:
    with listener.freetds() as connection, connection.cursor() as cursor:
        cursor.execute("COUNT 50000000")
        assert cursor.fetchone()[0] == 0
        cursor.execute("SELECT 1")  # cancels the rest
        assert cursor.fetchall() == [(1,)]
    assert listener.engine.cancelled == 1


def test_a_statement_after_many_cancellations_is_not_cancelled(listener: Listener) -> None:
    with listener.odbc("Encrypt=no") as connection:
        for _ in range(20):
            cursor = connection.execute("COUNT 50000000")
            cursor.fetchone()
            cursor.close()
            assert len(connection.execute("COUNT 5000").fetchall()) == 5000


def test_a_disconnected_clients_query_ends(listener: Listener, wait_until: Wait) -> None:
    connection = listener.odbc("Encrypt=no")
    cursor = connection.execute("COUNT 50000000")
    cursor.fetchone()
    del cursor
    connection.close()
    wait_until(lambda: listener.engine.closed == [51])
