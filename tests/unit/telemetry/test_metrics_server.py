"""The server of /metrics, over real connections."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dstream.telemetry import metrics_server
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.metrics_server import MetricsServer


@pytest.fixture
def serve() -> Iterator[Callable[[str], int]]:
    """Starts servers on a host; returns their ports."""
    with ExitStack() as stack:

        def start(host: str) -> int:
            server = MetricsServer(host, 0, RunsWatch([]))
            server.start()
            stack.callback(server.close)
            return int(server.address.rpartition(":")[2])

        yield start


def ask(port: int, host: str | None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("GET", "/healthz", skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("host", [None, "localhost", "LOCALHOST:1", "127.0.0.1:1", "[::1]:1"])
def test_a_loopback_server_answers_requests_to_itself(serve: Callable[[str], int], host: str | None) -> None:
    assert ask(serve("127.0.0.1"), host) == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil:1", "10.0.0.1", ""])
def test_a_loopback_server_refuses_other_hosts(serve: Callable[[str], int], host: str) -> None:
    assert ask(serve("127.0.0.1"), host) == 403


def test_a_server_for_other_machines_answers_any_host(serve: Callable[[str], int]) -> None:
    assert ask(serve("0.0.0.0"), "dstream.monitoring.svc:9464") == 200


def test_a_client_that_resets_its_connection_leaves_no_stack_trace(
    serve: Callable[[str], int], capfd: pytest.CaptureFixture[str]
) -> None:
    port = serve("127.0.0.1")
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", port), timeout=60)
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST
        client.close()
    assert ask(port, "localhost") == 200
    assert capfd.readouterr().err == ""


def test_slow_clients_are_disconnected_and_too_many_are_refused(
    serve: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "_MAX_CONNECTIONS", 3)
    monkeypatch.setattr(metrics_server, "_PATIENCE_S", 0.5)
    port = serve("127.0.0.1")
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(4)]
    for each in slow:  # the last one at once, the others after the time limit
        assert each.recv(1) == b""
        each.close()
    assert ask(port, "localhost") == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, it waits for its timeout")
def test_a_server_that_nobody_asks_closes_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server._Server, "timeout", None)
    server = MetricsServer("127.0.0.1", 0, RunsWatch([]))
    server.start()
    server.close()
