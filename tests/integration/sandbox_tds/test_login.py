"""Which clients can log in, with which encryption, and the errors that the others get."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import pymssql
import pyodbc
import pytest
from dstream_sandbox.sqlserver.session import Column
from dstream_sandbox.sqlserver.values import SqlType

from tests.integration.sandbox_tds.conftest import Listener


@pytest.mark.parametrize("encrypt", ["no", "yes"])
def test_microsofts_driver_uses_tls_for_the_login_or_for_everything(listener: Listener, encrypt: str) -> None:
    with listener.odbc(f"Encrypt={encrypt}") as connection:
        assert connection.execute("SELECT 1").fetchval() == 1


@pytest.mark.parametrize("encryption", ["off", "request", "require"])
def test_freetds_connects_with_and_without_tls(listener: Listener, encryption: str) -> None:
    with listener.freetds(encryption=encryption) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_the_login_selects_the_database(listener: Listener) -> None:
    with listener.odbc("DATABASE=sales") as connection:
        assert connection.getinfo(pyodbc.SQL_DATABASE_NAME) == "sales"
        assert connection.getinfo(pyodbc.SQL_DBMS_NAME) == "Microsoft SQL Server"


def test_a_wrong_password_is_error_18456(listener: Listener) -> None:
    with pytest.raises(pyodbc.Error, match=r"Login failed for user 'sa'\. \(18456\)") as caught:
        listener.odbc("PWD=wrong")
    assert caught.value.args[0] == "28000"


def test_an_unknown_database_is_error_4060(listener: Listener) -> None:
    with pytest.raises(pyodbc.Error, match=r'Cannot open database "nowhere" requested by the login.*\(4060\)'):
        listener.odbc("DATABASE=nowhere")


def test_an_entra_id_login_without_a_token_is_refused_with_a_message(listener: Listener) -> None:
    with pytest.raises(pyodbc.Error, match="only for clients that send a token"):
        listener.odbc("Authentication=ActiveDirectoryPassword")


def test_a_client_older_than_tds_7_3_is_refused_with_a_message(listener: Listener) -> None:
    with pytest.raises(pymssql.OperationalError, match=r"supports TDS 7\.3 and 7\.4"):
        listener.freetds(tds_version="7.1")


@pytest.mark.parametrize("version", ["7.3", "7.4"])
def test_both_versions_of_tds_work(listener: Listener, version: str) -> None:
    with listener.freetds(tds_version=version) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


def test_a_client_that_requests_mars_continues_without_it(listener: Listener) -> None:
    with listener.odbc("MARS_Connection=yes") as connection:
        first, second = connection.cursor(), connection.cursor()
        first.execute("COUNT 100000")
        with pytest.raises(pyodbc.Error, match="Connection is busy with results for another"):
            second.execute("SELECT 1")


@pytest.mark.parametrize(
    "options", ["PacketSize=512;Encrypt=no", "PacketSize=32767;Encrypt=no", "PacketSize=16000;Encrypt=yes"]
)
def test_packets_have_the_size_that_the_client_requests(listener: Listener, options: str) -> None:
    with listener.odbc(options) as connection:
        assert connection.execute("SELECT ?", "x" * 100_000).fetchval() == "x" * 100_000


def test_a_client_can_read_after_requesting_packets_too_large_for_tls(listener: Listener) -> None:
    # Microsoft's driver itself cannot send packets this large, and reports so.
    listener.engine.results["SELECT a"] = ((Column("a", SqlType("nvarchar", -1)),), [("x" * 100_000,)])
    with listener.odbc("PacketSize=32767;Encrypt=yes") as connection:
        assert connection.execute("SELECT a").fetchval() == "x" * 100_000


def test_garbage_ends_only_its_own_connection(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=60) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"\0" * 70_000)
        with suppress(ConnectionError):
            while sock.recv(4096):
                pass
    with listener.odbc() as connection:
        assert connection.execute("SELECT 1").fetchval() == 1


def test_a_session_ends_with_its_connection(
    listener: Listener, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    listener.odbc().close()
    wait_until(lambda: listener.engine.closed == [51])
