"""The control requests of the server's port: a client that speaks HTTP instead of TDS adds, lists and clears faults."""

from __future__ import annotations

import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from dstream_sandbox.fault_list import FAULTS_PATH
from dstream_sandbox.sqlserver.faults import SqlFaults

_FIRST_BYTES = b"GPD"
"""GET, POST, DELETE. A TDS client begins with the message type PRELOGIN (0x12) or, from old ones, LOGIN7 (0x10)."""


def is_http(sock: socket.socket) -> bool:
    """Wait for the first byte, which stays in the socket."""
    first = sock.recv(1, socket.MSG_PEEK)
    return bool(first) and first in _FIRST_BYTES


def serve_http(sock: socket.socket, faults: SqlFaults) -> None:
    """Answer one request."""
    _Handler(sock, faults)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, sock: socket.socket, faults: SqlFaults) -> None:
        self._faults = faults
        super().__init__(sock, sock.getpeername(), None)  # type: ignore[arg-type]  # the server is not used

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status: int = HTTPStatus.NOT_FOUND
        content = b'{"error": "not found"}'
        if self.path == FAULTS_PATH:
            status, content = self._faults.handle(self.command, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the base class calls these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the parameter's name in the base class
        pass
