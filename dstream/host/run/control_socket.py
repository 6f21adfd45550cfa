"""The control socket of a running host: one per task, JSON lines, for the same user only.

    {"request":"status"}  ->  {"schema_version":1,"task":"orders",...}   live figures
    {"request":"stop"}    ->  {"schema_version":1,"stopping":true}       drains like the first Ctrl-C
    {"request":"snapshot","tables":["dbo.Orders"]}
                          ->  {"schema_version":1,"requested":[..]}      passed on to the input
    anything else         ->  {"schema_version":1,"error":"..."}

One thread serves all clients; it starts nothing and touches no row. The holder of the task's lock owns the path, so an
existing socket was left behind by a host that died.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dstream.host.provider.process import is_readable
from dstream.private_files import make_private_folder
from dstream.state import file_name

SCHEMA_VERSION = 1
_LONGEST_REQUEST = 64 * 1024
_PATIENCE_S = 2.0
_PAUSE_S = 0.1
"""Between two attempts to accept a client."""
_READ_BYTES = 4096

Answer = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Answers a request, given its name and all of it; raises LookupError for an unknown one."""


def socket_path(folder: Path, stack: str, task: str) -> Path:
    return folder / file_name(stack) / f"{file_name(task)}.sock"


def ask_host(path: Path, request: str, **fields: object) -> dict[str, Any] | None:
    """Return the running host's answer; None if no host is running. `fields`: other members of the request."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE_S)
        try:
            with _within_the_limit(path) as address:
                client.connect(address)
            client.sendall(json.dumps({"request": request, **fields}).encode() + b"\n")
            with client.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError):
            return None
        return answer


class ControlSocket(threading.Thread):
    """Serves from `start` to `close`. Raises OSError if the socket cannot be created."""

    def __init__(self, path: Path, answer: Answer) -> None:
        super().__init__(name="control-socket", daemon=True)
        self._path = path
        self._answer = answer
        self._requests: dict[socket.socket, bytes] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listen()
        except OSError:
            self._listener.close()
            raise
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)

    def close(self) -> None:
        """End the thread and remove the socket, unless a run that has taken the lease of this one has replaced it."""
        self._waker.close()
        self.join()
        with contextlib.suppress(OSError):  # the next run replaces it
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def run(self) -> None:
        is_open = True
        while is_open:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    is_open = False
                elif key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._serve(key.fileobj)
        self._selector.close()
        for each in (self._listener, self._woken, *self._requests):
            each.close()

    def _listen(self) -> None:
        make_private_folder(self._path.parent)
        self._path.unlink(missing_ok=True)
        # On Linux the file inherits the socket's mode at bind; elsewhere the chmod below follows after a short gap.
        with contextlib.suppress(OSError):
            os.fchmod(self._listener.fileno(), 0o600)
        with _within_the_limit(self._path) as address:
            self._listener.bind(address)
        self._path.chmod(0o600)
        self._inode = self._path.stat().st_ino
        self._listener.listen()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:  # the client is gone, or this process has too many open files
            is_readable(self._woken.fileno(), _PAUSE_S)
            return
        client.settimeout(_PATIENCE_S)
        self._requests[client] = b""
        self._selector.register(client, selectors.EVENT_READ)

    def _serve(self, client: socket.socket) -> None:
        try:
            data = client.recv(_READ_BYTES)
            *lines, rest = (self._requests[client] + data).split(b"\n")
            for line in lines:
                client.sendall(json.dumps({"schema_version": SCHEMA_VERSION, **self._answer_to(line)}).encode() + b"\n")
        except OSError:  # the client is gone or does not read
            data, rest = b"", b""
        self._requests[client] = rest
        if not data or len(rest) > _LONGEST_REQUEST:
            self._selector.unregister(client)
            del self._requests[client]
            client.close()

    def _answer_to(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            return self._answer(request["request"], request)
        except (ValueError, TypeError, LookupError, RecursionError):
            return {"error": 'a request must be a JSON object with "request": "status", "stop" or "snapshot"'}


@contextlib.contextmanager
def _within_the_limit(path: Path) -> Iterator[str]:
    """Yield the path as an address. AF_UNIX allows 107 bytes (unix(7)); a longer path goes through its open folder."""
    if len(os.fsencode(path)) < 104 or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
