from __future__ import annotations

import struct

import pytest
from dstream_sandbox.servicebus.amqp.websocket import WebSocket, handshake
from hypothesis import given
from hypothesis import strategies as st

_MASK = b"\x11\x22\x33\x44"


def _client_frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((0x80 * final | opcode, 0x80 | size))
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 * final | opcode, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 * final | opcode, 0x80 | 127, size)
    return head + _MASK + bytes(byte ^ _MASK[index % 4] for index, byte in enumerate(payload))


def test_the_handshake_returns_the_answer_from_the_rfc() -> None:
    request = (
        b"GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, AMQPWSB10\r\n"
    )
    answer = handshake(request)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # RFC 6455, section 1.3
    assert b"Sec-WebSocket-Protocol: AMQPWSB10\r\n" in answer


def test_a_plain_request_is_not_an_upgrade() -> None:
    with pytest.raises(ValueError, match="upgrade"):
        handshake(b"GET / HTTP/1.1\r\nHost: localhost\r\n")


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_messages_are_read_wherever_the_stream_is_split(messages: list[bytes], step: int) -> None:
    stream = b"".join(_client_frame(2, message) for message in messages)
    socket, out = WebSocket(), b""
    for pos in range(0, len(stream), step):
        out += socket.feed(stream[pos : pos + step])
    assert out == b"".join(messages)


@pytest.mark.parametrize("size", [125, 126, 65535, 65536])
def test_every_length_form_is_read_and_written(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    assert WebSocket().feed(_client_frame(2, payload)) == payload
    assert WebSocket().feed(WebSocket.wrap(payload)) == payload


def test_fragments_pings_and_close_are_answered() -> None:
    socket = WebSocket()
    stream = _client_frame(2, b"ab", final=False) + _client_frame(9, b"hi") + _client_frame(0, b"cd")
    assert socket.feed(stream + _client_frame(8, b"\x03\xe8")) == b"abcd"
    assert socket.replies == [b"\x8a\x02hi", b"\x88\x02\x03\xe8"]
    assert socket.closed


def test_a_frame_above_the_limit_is_refused_before_it_has_arrived() -> None:
    head = bytes((0x82, 0xFF)) + (5000).to_bytes(8, "big")
    assert WebSocket().feed(head) == b""
    with pytest.raises(ValueError, match="5000 octets"):
        WebSocket().feed(head, 4096)
    assert WebSocket().feed(_client_frame(2, b"x" * 4096), 4096) == b"x" * 4096
