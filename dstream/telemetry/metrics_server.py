"""Serves /metrics, /healthz and /readyz over HTTP, on the given address only.

One thread accepts connections, and each request has its own; none touches a row. All end with the process.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from dstream.errors import ConfigError
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.metrics import CONTENT_TYPE, render

_PATIENCE_S = 5.0


class MetricsServer:
    """Listens when created; serves from `start` to `close`. Raises ConfigError if it cannot listen."""

    def __init__(self, host: str, port: int, runs: RunsWatch) -> None:
        """`port` 0 picks a free port."""
        self._host = host
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._server = _Server(family, address, runs)
        except OSError as error:
            raise ConfigError(
                "metrics.unavailable",
                f"cannot serve metrics at {_shown(host)}:{port}: {error.strerror or error}",
                hint="Another process may use the port. Set --metrics to a different one, or to 0 for any free port.",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def address(self) -> str:
        """HOST:PORT, with the actual port."""
        return f"{_shown(self._host)}:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True  # a restarted run can listen immediately, but two runs cannot share a port (socket(7))

    def __init__(self, family: int, address: Any, runs: RunsWatch) -> None:
        self.address_family = family
        self.runs = runs
        super().__init__(address, _Handler)


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
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, render(self.server.runs)
        if path == "/healthz":
            return HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"
        if path == "/readyz":
            readiness = self.server.runs.readiness()
            status = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            return status, "application/json", json.dumps(readiness.document()).encode() + b"\n"
        return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found; use /metrics, /healthz or /readyz\n"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # http.server's own signature
        """Log nothing: probes arrive every few seconds and would drown the run's log."""


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
