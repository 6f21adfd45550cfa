"""The control socket keeps answering, whatever a client sends."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dstream.host.run.control_socket import ControlSocket, ask_host


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    def answer(name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if name != "status":
            raise LookupError(name)
        return {"task": "orders"}

    server = ControlSocket(tmp_path / "run" / "orders.sock", answer)
    server.start()
    yield tmp_path / "run" / "orders.sock"
    server.close()


STATUS = {"schema_version": 1, "task": "orders"}


@pytest.mark.parametrize("request_", [b"[" * 50_000, b"\xff", b"7", b'{"request":[]}', b'{"request":"die"}'])
def test_a_bad_request_gets_an_error_and_the_next_one_an_answer(path: Path, request_: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5.0)
        client.connect(str(path))
        client.sendall(request_ + b"\n")
        assert b'"error"' in client.recv(4096)
    assert ask_host(path, "status") == STATUS


def test_it_accepts_clients_again_after_a_shortage_of_descriptors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = socket.socket.accept
    refusals = [OSError(errno.EMFILE, "Too many open files")]

    def accept_later(listener: socket.socket) -> Any:
        if refusals:
            raise refusals.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", accept_later)
    assert ask_host(path, "status") == STATUS


def test_the_socket_of_the_run_that_took_over_stays(path: Path) -> None:
    """A run on the same machine that has lost its lease ends later than the new one begins."""
    old = ControlSocket(path, lambda *_: {"task": "lost"})
    old.start()
    new = ControlSocket(path, lambda *_: {"task": "orders"})
    new.start()
    old.close()
    assert ask_host(path, "status") == STATUS
    new.close()
    assert not path.exists()
