"""AMQP clients that do not log in get neither memory nor a connection for long."""

from __future__ import annotations

import base64
import os
import socket
import struct
from contextlib import suppress

import pytest
from dstream_sandbox.servicebus.amqp import frames
from dstream_sandbox.servicebus.amqp.encode import encode_composite
from dstream_sandbox.servicebus.amqp.performatives import Code
from dstream_sandbox.servicebus.amqp.values import Symbol, UInt

from tests.integration.sandbox_amqp.namespace_thread import KEY, KEY_NAME, NamespaceThread
from tests.integration.sandbox_amqp.wire_client import WireClient

_BEGIN = frames.frame(frames.AMQP_FRAME, 0, encode_composite(Code.BEGIN, [None, UInt(0), UInt(1), UInt(1)]))


def ended(connection: socket.socket) -> bool:
    """Wait until the server closes the connection."""
    with suppress(ConnectionError):
        while connection.recv(4096):
            pass
    return True


def header(size: int, kind: int) -> bytes:
    return struct.pack(">IBBH", size, 2, kind, 0)


@pytest.mark.parametrize(
    "sent",
    [
        frames.SASL_HEADER + header(513, frames.SASL_FRAME),
        frames.AMQP_HEADER + header(4097, frames.AMQP_FRAME),
        frames.AMQP_HEADER + _BEGIN,
    ],
)
def test_frames_that_may_not_come_before_open_end_the_connection(namespace: NamespaceThread, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", namespace.amqp_port), timeout=15) as connection:
        connection.sendall(sent)
        assert ended(connection)  # long before the login's limit


def test_an_open_of_an_sdk_with_a_long_user_agent_is_accepted(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port) as wire:
        properties = {Symbol("user-agent"): "x" * 1000}
        opening = encode_composite(Code.OPEN, ["long", None, None, None, None, None, None, None, None, properties])
        wire.socket.sendall(frames.AMQP_HEADER + frames.frame(frames.AMQP_FRAME, 0, opening))
        assert wire.read_octets(8) == frames.AMQP_HEADER
        wire.expect(Code.OPEN)


def test_a_large_websocket_frame_before_open_ends_the_connection(namespace: NamespaceThread) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(("127.0.0.1", namespace.amqp_port), timeout=15) as connection:
        connection.sendall(
            f"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            + bytes((0x82, 0xFF))
            + (1 << 40).to_bytes(8, "big")
        )
        assert ended(connection)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1", frames.AMQP_HEADER])
def test_clients_that_do_not_log_in_are_disconnected(
    namespace: NamespaceThread, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(namespace.server, "login_timeout_s", 0.2)
    with socket.create_connection(("127.0.0.1", namespace.amqp_port), timeout=15) as connection:
        with suppress(ConnectionError):  # under load, it is already closed
            connection.sendall(sent)
        assert ended(connection)


def test_clients_that_have_logged_in_stay(namespace: NamespaceThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace.server, "login_timeout_s", 1.0)
    wire = None
    while wire is None:
        with suppress(ConnectionError):  # under load, the login takes too long
            (wire := WireClient(namespace.amqp_port)).login(KEY_NAME, KEY)
    with wire, WireClient(namespace.amqp_port) as idle:
        assert ended(idle.socket)  # it came later
        wire.store(namespace.queue(), b"")


def test_a_client_that_does_not_read_is_disconnected_before_its_login(namespace: NamespaceThread) -> None:
    with WireClient(namespace.amqp_port) as wire:
        wire.open()
        (connection,) = namespace.server._namespace.connections
        namespace.on_loop(connection.pause_writing)  # what asyncio calls when its buffer is full
        assert ended(wire.socket)
