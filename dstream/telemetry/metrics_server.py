"""Serves the page, /metrics, /healthz and /readyz over HTTP, on the given address only. Read-only.

One thread accepts connections, and each request has its own; none touches a row. All end with the process. At a
loopback address, only requests to a loopback host are answered: otherwise a page in a browser on the machine could read
the figures through a name of its own that resolves to this address (DNS rebinding).
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from typing import Any

from dstream.errors import ConfigError
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.metrics import CONTENT_TYPE, render
from dstream.telemetry.page import page, page_figures, page_headers

_PATIENCE_S = 5.0
"""From the connection to the end of the response."""
_MAX_CONNECTIONS = 32
"""More are closed at once."""


class MetricsServer:
    """Listens when created; serves from `start` to `close`. Raises ConfigError if it cannot listen."""

    def __init__(self, host: str, port: int, runs: RunsWatch) -> None:
        """`port` 0 picks a free port."""
        self._host = host
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._server = _Server(family, address, host, runs)
        except OSError as error:
            raise ConfigError(
                "metrics.unavailable",
                f"cannot serve metrics at {_shown(host)}:{port}: {error.strerror or error}",
                hint="Another process may use the port. Set --metrics to a different one, or to 0 for any free port.",
            ) from error
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT, with the actual port."""
        return f"{_shown(self._host)}:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop serving. `serve_forever` would notice only after up to half a second, by which every run ended later."""
        self._is_closing = True
        _shut_down(self._server.socket)  # on Linux, this ends the wait for a connection; elsewhere, its timeout does
        self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        while not self._is_closing:
            self._server.handle_request()
            self._server.close_overdue()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    timeout = 0.5
    """How long `handle_request` waits for a connection."""
    allow_reuse_address = True  # a restarted run can listen immediately, but two runs cannot share a port (socket(7))

    def __init__(self, family: int, address: Any, name: str, runs: RunsWatch) -> None:
        self.address_family = family
        self.runs = runs
        self._name = name
        self._deadlines: dict[Any, float] = {}
        """By open connection."""
        super().__init__(address, _Handler)

    def is_answered(self, host: str | None) -> bool:
        """Whether a request with this `Host` is answered: NAME, NAME:PORT, [IPV6] or [IPV6]:PORT (RFC 9110, 7.2)."""
        if host is None or not _is_loopback(str(self.server_address[0])):
            return True
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        return name.lower() in ("localhost", self._name.lower()) or _is_loopback(name)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._deadlines) < _MAX_CONNECTIONS:
            self._deadlines[request] = time.monotonic() + _PATIENCE_S
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._deadlines.pop(request, None)

    def close_overdue(self) -> None:
        """End the requests that have taken too long. A timer for each would cost a quarter of the request."""
        now_s = time.monotonic()
        for request, deadline_s in list(self._deadlines.items()):
            if deadline_s < now_s:
                self._deadlines.pop(request, None)
                _shut_down(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that are gone, and leave the stack trace of a bug to the base class."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S
    server_version = "dstream"
    sys_version = ""

    def do_GET(self) -> None:
        status, kind, body = self._answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in page_headers().items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        if not self.server.is_answered(self.headers.get("Host")):
            return HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", b"not this host; use the address of --metrics\n"
        path = self.path.partition("?")[0]
        if path == "/":
            return HTTPStatus.OK, "text/html; charset=utf-8", page()
        if path == "/figures.json":
            return HTTPStatus.OK, "application/json", page_figures(self.server.runs)
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, render(self.server.runs)
        if path == "/healthz":
            return HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"
        if path == "/readyz":
            readiness = self.server.runs.readiness()
            status = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(readiness.document()).encode() + b"\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found; use /, /metrics, /healthz or /readyz\n"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # http.server's own signature
        """Log nothing: probes arrive every few seconds and would drown the run's log."""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed
        connection.shutdown(socket.SHUT_RDWR)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
