"""Messages are split into packets and reassembled."""

from __future__ import annotations

import socket
import struct

import pytest
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.packets import MAX_PACKET_BYTES, Message, MessageIgnored, MessageWriter, PacketType
from dstream_sandbox.sqlserver.tds.transport import Transport
from hypothesis import given, settings
from hypothesis import strategies as st


class Sink(Transport):
    """Records written bytes."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


class Source(Transport):
    """Returns the given bytes."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, count: int) -> bytes:
        piece, self._left = self._left[:count], self._left[count:]
        return piece


def packet(packet_type: int, status: int, payload: bytes) -> bytes:
    return struct.pack(">BBHHBB", packet_type, status, len(payload) + 8, 0, 1, 0) + payload


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=10), st.integers(512, 4096), st.booleans())
def test_a_message_survives_packets_of_any_size(parts: list[bytes], packet_bytes: int, flush: bool) -> None:
    sink = Sink()
    writer = MessageWriter(sink, PacketType.RESPONSE, packet_bytes=packet_bytes, spid=51)
    for part in parts:
        writer.write(part)
        if flush:
            writer.flush()
    writer.finish()
    assert Message(Source(sink.written)).rest() == b"".join(parts)


def test_only_the_last_packet_ends_the_message_and_all_fit_the_packet_size() -> None:
    sink = Sink()
    writer = MessageWriter(sink, PacketType.RESPONSE, packet_bytes=512)
    writer.write(b"x" * 504 * 3)
    writer.finish()
    headers = [struct.unpack_from(">BBHHBB", sink.written, position) for position in (0, 512, 1024)]
    assert [(status, length, number) for _, status, length, _, number, _ in headers] == [
        (0, 512, 1),
        (0, 512, 2),
        (1, 512, 3),
    ]
    assert len(sink.written) == 3 * 512


def test_an_abandoned_message_raises_message_ignored() -> None:
    with pytest.raises(MessageIgnored):
        Message(Source(packet(1, 0x03, b"")))
    message = Message(Source(packet(1, 0, b"half") + packet(1, 0x03, b"")))
    with pytest.raises(MessageIgnored):
        message.rest()


def test_another_packet_type_inside_a_message_is_a_protocol_error() -> None:
    message = Message(Source(packet(1, 0, b"half") + packet(3, 1, b"other")))
    with pytest.raises(ProtocolError):
        message.rest()


def test_a_packet_shorter_than_its_header_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        Message(Source(struct.pack(">BBHHBB", 1, 1, 7, 0, 1, 0)))


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1))
def test_a_reader_reads_across_chunks(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    waiting = list(pieces)
    reader = ByteReader(more=lambda: waiting.pop(0) if waiting else b"")
    assert bytes(reader.u8() for _ in whole) == whole
    assert reader.at_end()
    with pytest.raises(ProtocolError):
        reader.u8()


def test_the_transport_reads_exactly_the_requested_bytes() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"abcdef")
        transport = Transport(right)
        assert (transport.read(2), transport.has_unread(), transport.read(4)) == (b"ab", True, b"cdef")
        assert not transport.has_unread()


def test_a_message_is_read_up_to_its_limit() -> None:
    packets = packet(0x12, 0, b"x" * 500) + packet(0x12, 1, b"x" * 500)
    assert len(Message(Source(packets), 1000).rest()) == 1000
    with pytest.raises(ProtocolError, match="before the login"):
        Message(Source(packets), 999).rest()
    with pytest.raises(ProtocolError, match="before the login"):
        Message(Source(packets), 499)


def test_a_packet_has_at_most_32767_bytes() -> None:
    assert Message(Source(packet(1, 1, b"x" * (MAX_PACKET_BYTES - 8)))).rest()
    with pytest.raises(ProtocolError, match="packet length"):
        Message(Source(packet(1, 1, b"x" * (MAX_PACKET_BYTES - 7))))
