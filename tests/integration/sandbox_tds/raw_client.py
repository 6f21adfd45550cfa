"""A client that sends raw packets, for what drivers rarely do: reset flags, ignored messages, odd fragments."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from types import TracebackType

from tests.integration.sandbox_tds.scripted_engine import PASSWORD

SQL_BATCH, ATTENTION = 0x01, 0x06
END, IGNORE, RESET = 0x01, 0x02, 0x08
_LOGIN7, _PRELOGIN = 0x10, 0x12
_NO_TRANSACTION = struct.pack("<IIHQI", 22, 18, 2, 0, 1)


class RawClient:
    """A logged-in connection without TLS."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.send(_PRELOGIN, END, struct.pack(">BHH", 1, 6, 1) + b"\xff\x02")
        self.answer()
        self.send(_LOGIN7, END, login_payload())
        self.greeting = self.answer()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.close()

    def send(self, packet_type: int, status: int, payload: bytes) -> None:
        """Send one packet."""
        self._socket.sendall(packet(packet_type, status, payload))

    def send_in_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send raw bytes, each piece in its own segment."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            self._socket.sendall(piece)

    def batch(self, sql: str, status: int = END) -> bytes:
        """Run a batch; return the token stream that answers it."""
        self.send(SQL_BATCH, status, batch_payload(sql))
        return self.answer()

    def answer(self) -> bytes:
        """Read one message; return its payload."""
        parts = []
        while True:
            header = self._exactly(8)
            _, status, length = struct.unpack(">BBH", header[:4])
            parts.append(self._exactly(length - 8))
            if status & END:
                return b"".join(parts)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            assert piece, "the server hung up"
            data += piece
        return data


def packet(packet_type: int, status: int, payload: bytes) -> bytes:
    """A client's packet."""
    return struct.pack(">BBHHBB", packet_type, status, len(payload) + 8, 0, 1, 0) + payload


def batch_payload(sql: str) -> bytes:
    """ALL_HEADERS and a batch's text."""
    return _NO_TRANSACTION + sql.encode("utf-16-le")


def login_payload(password: str = PASSWORD, *, federated: bool = False) -> bytes:
    """LOGIN7. `federated`: with the password as a Microsoft Entra ID token, too."""
    hidden = bytes(((byte << 4 & 0xF0) | (byte >> 4)) ^ 0xA5 for byte in password.encode("utf-16-le", "surrogatepass"))
    fields = ["host", "sa", password, "raw", "server", "", "library", "", "demo"]
    offset = 36 + 9 * 4 + 6 + 4 * 3 + 4
    spans, data = b"", b""
    for position, text in enumerate(fields):
        spans += struct.pack("<HH", offset + len(data), len(text))
        data += hidden if position == 2 else text.encode("utf-16-le", "surrogatepass")
    if federated:
        token = password.encode("utf-16-le", "surrogatepass")
        token = struct.pack("<BI", 2, len(token)) + token
        here = offset + len(data)
        spans = spans[:20] + struct.pack("<HH", here, 4) + spans[24:]
        data += struct.pack("<IBI", here + 4, 2, len(token)) + token + b"\xff"
    rest = b"\0" * 6 + struct.pack("<HH", 0, 0) * 3 + b"\0" * 4
    fixed = struct.pack(
        "<IIIIIIBBBBiI", offset + len(data), 0x74000004, 4096, 7, 1, 0, 0xE0, 3, 0, 0x10 * federated, 0, 0x409
    )
    return fixed + spans + rest + data
