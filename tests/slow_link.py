"""A TCP connection to a server that is slow, away, silent, or has forgotten its connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType


class SlowLink:
    """Forwards a local port to a server; answers arrive `delay_s` later. Use as a context manager."""

    def __init__(self, target: tuple[str, int] | str, delay_s: float = 0.0) -> None:
        """`target`: host and port, or the path of a Unix socket."""
        self._target = target
        self.delay_s = delay_s
        self._is_away = False
        self._speaks = threading.Event()
        self._speaks.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._forgotten: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def away(self, is_away: bool) -> None:
        """Cut all connections and refuse new ones, or allow them again."""
        self._is_away = is_away
        if is_away:
            self._cut()

    def silent(self, is_silent: bool) -> None:
        """Accept everything and deliver nothing, or deliver all of it now."""
        if is_silent:
            self._speaks.clear()
        else:
            self._speaks.set()

    def forget(self) -> None:
        """Accept what is sent through the present connections and deliver it never; new connections work."""
        self._forgotten.update(each for pair in self._pairs for each in pair)

    def __enter__(self) -> SlowLink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._speaks.set()
        self._cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_away:
                    client.close()
                    continue
                server = self._connected()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append((client, server))
                for source, sink, is_slow in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._copy, args=(source, sink, is_slow), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        return server

    def _copy(self, source: socket.socket, sink: socket.socket, is_slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_slow and self.delay_s:
                    time.sleep(self.delay_s)
                self._speaks.wait()
                if source not in self._forgotten:
                    sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        for pair in self._pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        self._pairs.clear()
