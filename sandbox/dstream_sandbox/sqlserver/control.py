"""The control requests of the server's port: a client that speaks HTTP instead of TDS adds, lists and clears faults."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from dstream_sandbox.control_access import NO_TOKEN, has_token, web_page_refusal
from dstream_sandbox.fault_list import FAULTS_PATH
from dstream_sandbox.sqlserver.faults import SqlFaults

_FIRST_BYTES = b"GPD"
"""GET, POST, DELETE. A TDS client begins with the message type PRELOGIN (0x12) or, from old ones, LOGIN7 (0x10)."""
_MAX_LENGTH_DIGITS = 5


def is_http(sock: socket.socket) -> bool:
    """Wait for the first byte, which stays in the socket."""
    first = sock.recv(1, socket.MSG_PEEK)
    return bool(first) and first in _FIRST_BYTES


def serve_http(sock: socket.socket, faults: SqlFaults, token: str) -> None:
    """Answer one request, if it has the token and does not come from a web page."""
    _Handler(sock, faults, token)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, sock: socket.socket, faults: SqlFaults, token: str) -> None:
        self._faults = faults
        self._token = token
        super().__init__(sock, sock.getpeername(), None)  # type: ignore[arg-type]  # the server is not used

    def _answer(self) -> None:
        status, content = self._answered()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answered(self) -> tuple[int, bytes]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if reason := web_page_refusal(headers):
            return HTTPStatus.FORBIDDEN, json.dumps({"error": reason}).encode()
        if not has_token(headers, self._token):
            return NO_TOKEN
        if self.path != FAULTS_PATH:
            return HTTPStatus.NOT_FOUND, b'{"error": "not found"}'
        length = headers.get("content-length") or "0"
        if not length.isascii() or not length.isdecimal() or len(length) > _MAX_LENGTH_DIGITS:
            return HTTPStatus.BAD_REQUEST, b'{"error": "a fault can have at most 99,999 bytes"}'
        return self._faults.handle(self.command, self.rfile.read(int(length)))

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the base class calls these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the parameter's name in the base class
        pass
