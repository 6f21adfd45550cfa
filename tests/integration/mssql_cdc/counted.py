"""A relay between the provider and the server that counts round trips."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class RoundTrips:
    """`count`: how often the client has sent something after the server's last answer."""

    def __init__(self) -> None:
        self.count = 0
        self.port = 0

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        is_clients_turn = True
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(1 << 16)
                if not data:
                    return
                if source is client and is_clients_turn:
                    self.count += 1
                is_clients_turn = source is server
                (server if source is client else client).sendall(data)

    def accept(self, listener: socket.socket, port: int) -> None:
        """Relay one connection to the port."""
        with (
            listener,
            listener.accept()[0] as client,
            socket.create_connection(("127.0.0.1", port)) as server,
            suppress(ConnectionError),
        ):
            self._relay(client, server)


@contextmanager
def counted(port: int) -> Iterator[RoundTrips]:
    """Count the round trips of the next connection to the yielded port."""
    listener = socket.create_server(("127.0.0.1", 0))
    trips = RoundTrips()
    trips.port = listener.getsockname()[1]
    thread = threading.Thread(target=trips.accept, args=(listener, port), daemon=True)
    thread.start()
    yield trips
    thread.join(60)
