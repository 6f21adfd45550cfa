"""Packets and messages, [MS-TDS] 2.2.3. A packet has an eight-byte header; a message is one or more packets."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.transport import Transport

HEADER_BYTES = 8
DEFAULT_PACKET_BYTES = 4096
MAX_PACKET_BYTES = 32_767
"""[MS-TDS] 2.2.3.1.3, Length."""
MAX_LOGIN_BYTES = 128 * 1024 - 1
"""[MS-TDS] 2.2.6.4, the length of LOGIN7. No other message before the login is longer, either."""
_HEADER = Struct(">BBHHBx")
_FLUSH_BYTES = 65536

_END_OF_MESSAGE = 0x01
_IGNORE = 0x02
_RESET_CONNECTION = 0x08
_RESET_CONNECTION_SKIP_TRANSACTION = 0x10


class PacketType(IntEnum):
    """The kinds of messages, [MS-TDS] 2.2.3.1.1."""

    SQL_BATCH = 0x01
    RPC = 0x03
    RESPONSE = 0x04
    ATTENTION = 0x06
    BULK_LOAD = 0x07
    TRANSACTION_MANAGER = 0x0E
    LOGIN7 = 0x10
    SSPI = 0x11
    PRELOGIN = 0x12


class MessageIgnored(Exception):
    """The client abandoned a message while sending it; what arrived must have no effect."""


class Message(ByteReader):
    """A message from the client, read only as far as requested."""

    __slots__ = ("_ended", "_left", "_transport", "resets", "skips_transaction", "type")

    def __init__(self, transport: Transport, max_bytes: int | None = None) -> None:
        """Wait for the first packet. Reading more than `max_bytes` raises ProtocolError; None: no limit."""
        super().__init__(b"", self._next_packet)
        self._transport = transport
        self._ended = False
        packet_type, status, payload = _read_packet(transport)
        self.type = packet_type
        self.skips_transaction = bool(status & _RESET_CONNECTION_SKIP_TRANSACTION)
        self.resets = self.skips_transaction or bool(status & _RESET_CONNECTION)
        self._note_status(status)
        self._left = max_bytes
        self._count(payload)
        self._data = payload

    def skip_rest(self) -> None:
        """Read to the end of the message and discard it."""
        while self._next_packet():
            pass

    def _next_packet(self) -> bytes:
        while not self._ended:
            packet_type, status, payload = _read_packet(self._transport)
            if packet_type != self.type:
                raise ProtocolError(f"packet of type {packet_type} inside a message of type {self.type}")
            self._note_status(status)
            self._count(payload)
            if payload:
                return payload
        return b""

    def _count(self, payload: bytes) -> None:
        if self._left is None:
            return
        self._left -= len(payload)
        if self._left < 0:
            raise ProtocolError("the message is longer than any message before the login")

    def _note_status(self, status: int) -> None:
        self._ended = bool(status & _END_OF_MESSAGE)
        if status & _IGNORE and self._ended:
            raise MessageIgnored


class MessageWriter:
    """Splits the bytes of one message into packets and sends full packets as soon as possible."""

    def __init__(
        self, transport: Transport, packet_type: PacketType, *, packet_bytes: int = DEFAULT_PACKET_BYTES, spid: int = 0
    ) -> None:
        self._transport = transport
        self._type = packet_type
        self._payload_bytes = packet_bytes - HEADER_BYTES
        self._spid = spid
        self._packet_id = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def write(self, data: bytes) -> None:
        """Add to the message. May send full packets."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send all full packets except the last one, which needs the end-of-message mark."""
        data = b"".join(self._pending)
        full = max(0, len(data) - 1) // self._payload_bytes * self._payload_bytes
        if full:
            self._transport.write(self._packets(data, full))
        self._pending = [data[full:]]
        self._pending_bytes = len(data) - full

    def finish(self) -> None:
        """Send the rest with the end-of-message mark."""
        data = b"".join(self._pending)
        full = max(0, len(data) - 1) // self._payload_bytes * self._payload_bytes
        last = data[full:]
        self._transport.write(self._packets(data, full) + self._header(len(last), _END_OF_MESSAGE) + last)
        self._pending = []
        self._pending_bytes = 0

    def _packets(self, data: bytes, end: int) -> bytes:
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for start in range(0, end, self._payload_bytes):
            parts.append(self._header(self._payload_bytes, 0))
            parts.append(view[start : start + self._payload_bytes])
        return b"".join(parts)

    def _header(self, payload_bytes: int, status: int) -> bytes:
        self._packet_id = (self._packet_id + 1) & 0xFF
        return _HEADER.pack(self._type, status, payload_bytes + HEADER_BYTES, self._spid & 0xFFFF, self._packet_id)


def _read_packet(transport: Transport) -> tuple[int, int, bytes]:
    packet_type, status, length, _spid, _packet_id = _HEADER.unpack(transport.read(HEADER_BYTES))
    if not HEADER_BYTES <= length <= MAX_PACKET_BYTES:
        raise ProtocolError(f"invalid packet length: {length} bytes")
    return packet_type, status, transport.read(length - HEADER_BYTES)
