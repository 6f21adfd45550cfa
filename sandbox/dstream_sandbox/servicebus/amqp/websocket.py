"""The server side of a WebSocket for AMQP (RFC 6455; subprotocol AMQPWSB10, OASIS AMQP WebSocket binding)."""

from __future__ import annotations

import base64
import hashlib
import struct

__all__ = ["MAX_REQUEST_BYTES", "WebSocket", "handshake"]

MAX_REQUEST_BYTES = 16384
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def handshake(request: bytes) -> bytes:
    """Return the response to an upgrade request (its head, up to the empty line). Raises ValueError for others."""
    lines = request.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    key = headers.get("sec-websocket-key")
    if not key or "websocket" not in headers.get("upgrade", "").lower():
        raise ValueError("not a WebSocket upgrade")
    accept = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()
    answer = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]
    if offered:
        # Clients fail the handshake unless the server returns one of the names they offered, in the same spelling.
        answer.append(f"Sec-WebSocket-Protocol: {next((n for n in offered if 'amqp' in n.lower()), offered[0])}")
    return ("\r\n".join(answer) + "\r\n\r\n").encode()


class WebSocket:
    """Converts frames to AMQP octets and back. `replies` collects the responses to pings and close frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.replies: list[bytes] = []
        self.closed = False

    def feed(self, data: bytes, max_frame_bytes: int | None = None) -> bytes:
        """Return the AMQP octets of the frames that have arrived. Raises ValueError for a larger frame."""
        self._buffer += data
        out = bytearray()
        while not self.closed and (part := self._next_frame(max_frame_bytes)) is not None:
            opcode, payload = part
            if opcode in (_CONTINUATION, _TEXT, _BINARY):
                out += payload
            elif opcode == _PING:
                self.replies.append(_frame(_PONG, payload))
            elif opcode == _CLOSE:
                self.replies.append(_frame(_CLOSE, payload[:2]))
                self.closed = True
        return bytes(out)

    @staticmethod
    def wrap(data: bytes) -> bytes:
        return _frame(_BINARY, data)

    def _next_frame(self, max_bytes: int | None) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < 2 + width:
                return None
            size, start = int.from_bytes(buffer[2 : 2 + width], "big"), 2 + width
        if max_bytes is not None and size > max_bytes:
            raise ValueError(f"WebSocket frame of {size} octets before the login")
        masked = bool(buffer[1] & 0x80)
        end = start + (4 if masked else 0) + size
        if len(buffer) < end:
            return None
        payload = bytes(buffer[end - size : end])
        if masked:
            payload = _unmask(payload, bytes(buffer[start : start + 4]))
        opcode = buffer[0] & 0x0F
        del buffer[:end]
        return opcode, payload


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
    return head + payload
