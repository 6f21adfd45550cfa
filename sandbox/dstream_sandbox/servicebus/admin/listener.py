"""One port for HTTP and HTTPS, which the first octet of a connection distinguishes (0x16: TLS handshake, RFC 8446)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl

from dstream_sandbox.servicebus.admin.http import Handler, serve_connection

__all__ = ["AdminListener"]

_TLS_HANDSHAKE = 0x16
_FIRST_OCTET_WITHIN_S = 60.0
_MAX_HEAD = 64 * 1024
_MAX_CONNECTIONS = 500
"""More wait until one ends."""
_PAUSE_S = 0.1
_COLLECT_AFTER = 100
"""Connections with TLS that are closed are cycles of few objects, each with 50 to 300 KB outside of Python's heap."""


class AdminListener:
    """Owns its socket and a task for each connection; `close` stops them, `wait_closed` waits for them."""

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None, handler: Handler) -> None:
        self.sockets = [listening]
        self._tls = tls
        self._handler = handler
        self._connections: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._closed = 0
        self._accepting = asyncio.ensure_future(self._accept(listening))

    @classmethod
    def bind(cls, host: str, port: int, tls: ssl.SSLContext | None, handler: Handler) -> AdminListener:
        listening = socket.create_server((host, port), backlog=128)
        listening.setblocking(False)
        return cls(listening, tls, handler)

    def close(self) -> None:
        self._accepting.cancel()
        for connection in self._connections:
            connection.cancel()
        for listening in self.sockets:
            listening.close()

    async def wait_closed(self) -> None:
        await asyncio.gather(self._accepting, *self._connections, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._free.acquire()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:  # too many open files
                self._free.release()
                await asyncio.sleep(_PAUSE_S)
                continue
            task = asyncio.ensure_future(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        self._free.release()
        self._closed += 1
        if self._closed % _COLLECT_AFTER == 0:
            gc.collect(1)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        writer: asyncio.StreamWriter | None = None
        try:
            first = await asyncio.wait_for(_first_octet(connection), _FIRST_OCTET_WITHIN_S)
            if first is None:
                return
            secure = first == _TLS_HANDSHAKE and self._tls is not None
            reader = asyncio.StreamReader(limit=_MAX_HEAD)
            transport, protocol = await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader), connection, ssl=self._tls if secure else None
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            await serve_connection(reader, writer, self._handler, "https" if secure else "http")
        except (OSError, TimeoutError, ssl.SSLError):
            pass  # the client disconnected or does not trust the certificate
        except asyncio.CancelledError:
            if writer is not None:
                writer.transport.abort()  # an orderly TLS shutdown would wait for the client
            raise
        finally:
            if writer is None:
                connection.close()
            else:
                writer.close()
                with contextlib.suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()


async def _first_octet(connection: socket.socket) -> int | None:
    """Return the first octet without consuming it."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)
    octet = connection.recv(1, socket.MSG_PEEK)
    return octet[0] if octet else None
