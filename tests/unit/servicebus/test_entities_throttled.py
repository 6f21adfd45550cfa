"""How the administration client handles throttling, over real TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox.certificates import ensure_certificates
from dstream_servicebus.access import Access
from dstream_servicebus.connection import Connector
from dstream_servicebus.entities.resources import entities_resources

from dstream.infra.attached import ResourceFailed

_BUSY = b"<Error><Code>429</Code><Detail>SubCode=50009. The namespace is busy.</Detail></Error>"


class BusyServer(ThreadingHTTPServer):
    """Answers every request with 429 and counts the requests."""

    requests = 0


class _Busy(BaseHTTPRequestHandler):
    server: BusyServer

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(429)
        self.send_header("Retry-After", "0.01")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(_BUSY)))
        self.end_headers()
        self.wfile.write(_BUSY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[BusyServer]:
    ensure_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with BusyServer(("127.0.0.1", 0), _Busy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_throttling_is_retried_a_limited_number_of_times(busy: BusyServer, tmp_path: Path) -> None:
    there = f"Endpoint=sb://localhost:{busy.server_port};SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0"
    connector = Connector(Access(there, None, str(tmp_path / "ca.pem")))
    clients: list[ServiceBusAdministrationClient] = []

    def administration() -> ServiceBusAdministrationClient:
        client = connector.administration(patient=True)
        assert client is not None
        clients.append(client)
        return client

    resources = entities_resources(administration)
    with pytest.raises(ResourceFailed) as failed:
        resources.exists("dstream:servicebus:Queue", "queue/orders")
    assert str(failed.value) == "queue/orders: still throttled after retries: SubCode=50009. The namespace is busy."
    assert busy.requests == 6
    (client,) = clients
    client.close()
