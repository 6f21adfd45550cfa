"""One connection's bytes, plain or through TLS. Used only by the connection's own thread."""

from __future__ import annotations

import socket
import ssl

_CHUNK_BYTES = 65536


class Disconnected(Exception):
    """The peer disconnected. Ends the connection; there is no one to notify."""


class Transport:
    """A socket with a read buffer, and TLS that can be switched on and off between messages."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._tls_in = ssl.MemoryBIO()
        self._tls_out = ssl.MemoryBIO()

    def read(self, count: int) -> bytes:
        """Read exactly `count` bytes. Raises Disconnected."""
        received = self._received
        while len(received) < count:
            received += self._receive()
        piece = bytes(received[:count])
        del received[:count]
        return piece

    def write(self, data: bytes) -> None:
        """Write all of `data`. Raises Disconnected."""
        try:
            self._socket.sendall(self._encrypted(data) if self._tls else data)
        except OSError as error:  # includes SSLError
            raise Disconnected from error

    def has_unread(self) -> bool:
        """Whether bytes have been received from the socket that have not been read yet."""
        return bool(self._received or self._tls_in.pending or (self._tls and self._tls.pending()))

    def new_tls(self, context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
        """Return a TLS object with its incoming and outgoing buffers, for a handshake; `start_tls` puts it to use."""
        tls = context.wrap_bio(self._tls_in, self._tls_out, server_side=True)
        return tls, self._tls_in, self._tls_out

    def start_tls(self, tls: ssl.SSLObject) -> None:
        """Send and receive all further bytes through `tls`."""
        self._tls = tls

    def stop_tls(self) -> None:
        """Return to plain bytes: TLS protected only the login."""
        self._tls = None

    def _encrypted(self, data: bytes) -> bytes:
        assert self._tls is not None
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self._tls_out.read()

    def _receive(self) -> bytes:
        if self._tls is None:
            return self._receive_raw()
        while True:
            try:
                data = self._tls.read(_CHUNK_BYTES)
            except ssl.SSLWantReadError:
                self._tls_in.write(self._receive_raw())
                continue
            except ssl.SSLError as error:
                raise Disconnected from error
            if not data:
                raise Disconnected
            return data

    def _receive_raw(self) -> bytes:
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        return data
