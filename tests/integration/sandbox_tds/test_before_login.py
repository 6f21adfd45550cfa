"""Clients that do not log in get neither memory nor a thread for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.integration.sandbox_tds.conftest import Listener
from tests.integration.sandbox_tds.raw_client import RawClient, packet

PRELOGIN = 0x12


def sessions() -> int:
    return sum(thread.name == "sql-session" for thread in threading.enumerate())


@pytest.mark.parametrize(
    "sent", [b"", b"\x12", packet(PRELOGIN, 0, b"x" * 100), b"POST /_sandbox/faults HTTP/1.1\r\nX"]
)
def test_clients_that_do_not_log_in_are_disconnected(
    start: Callable[..., Listener], wait_until: Callable[[Callable[[], bool]], None], sent: bytes
) -> None:
    before = sessions()
    listener = start(login_timeout_s=0.2)
    idle = [socket.create_connection(("127.0.0.1", listener.port), timeout=60) for _ in range(50)]
    for each in idle:
        with suppress(ConnectionError):  # under load, it is already closed
            each.sendall(sent)
    for each in idle:
        assert ended(each)
        each.close()
    wait_until(lambda: sessions() == before)


def test_clients_that_have_logged_in_stay(start: Callable[..., Listener]) -> None:
    listener = start(login_timeout_s=1.0)
    client = None
    while client is None:
        with suppress(AssertionError, ConnectionError):  # under load, the login takes too long
            client = RawClient(listener.port)
    with client, socket.create_connection(("127.0.0.1", listener.port), 60) as idle:
        assert ended(idle)  # it came later
        assert client.batch("SELECT 1")


def test_a_prelogin_longer_than_any_login_is_not_read(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=15) as client:
        with suppress(ConnectionError):
            client.sendall(packet(PRELOGIN, 0, b"x" * 4088) * 33)
        assert ended(client)  # long before the login's limit


def ended(connection: socket.socket) -> bool:
    """Wait until the server closes the connection."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return True
