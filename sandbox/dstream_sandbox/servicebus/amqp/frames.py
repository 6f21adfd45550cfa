"""Reads frames from a byte stream, and writes them (OASIS AMQP 1.0, part 2, section 2.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dstream_sandbox.servicebus.amqp.values import MalformedValue

__all__ = [
    "AMQP_FRAME",
    "AMQP_HEADER",
    "EMPTY_FRAME",
    "HEADER_SIZE",
    "MIN_MAX_FRAME_SIZE",
    "SASL_FRAME",
    "SASL_HEADER",
    "FrameReader",
    "frame",
]

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
HEADER_SIZE = 8
MIN_MAX_FRAME_SIZE = 512
"""Every peer accepts frames of this size; SASL frames are never larger (part 2, section 2.8; part 5, section 5.3.1)."""
AMQP_FRAME = 0
SASL_FRAME = 1
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_HEADER = struct.Struct(">IBBH")


def frame(kind: int, channel: int, body: bytes, payload: bytes = b"") -> bytes:
    return _HEADER.pack(HEADER_SIZE + len(body) + len(payload), 2, kind, channel) + body + payload


class FrameReader:
    """Splits a stream into protocol headers and frames. Holds at most one incomplete frame."""

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def protocol_header(self) -> bytes | None:
        """The next eight octets, or None until they have arrived."""
        if len(self._buffer) < HEADER_SIZE:
            return None
        header = bytes(self._buffer[:HEADER_SIZE])
        del self._buffer[:HEADER_SIZE]
        return header

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the kind, channel and body of each complete frame. The consumer can stop early; the rest stays."""
        buffer, pos = self._buffer, 0
        try:
            while len(buffer) - pos >= HEADER_SIZE:
                size, offset, kind, channel = _HEADER.unpack_from(buffer, pos)
                if size < HEADER_SIZE or size > self.max_frame_size or not 2 <= offset <= size // 4:
                    raise MalformedValue(f"frame of {size} octets with data offset {offset}")
                if len(buffer) - pos < size:
                    return
                body = bytes(memoryview(buffer)[pos + 4 * offset : pos + size])
                pos += size
                yield kind, channel, body
        finally:
            del buffer[:pos]
