"""A Service Bus namespace on local ports: AMQP, AMQP over TLS, either of them in a WebSocket, and the admin endpoint.

Everything runs on one asyncio loop; only the broker's store has its own thread.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from dstream_sandbox.fault_list import FAULTS_PATH
from dstream_sandbox.servicebus.access import KeyRing
from dstream_sandbox.servicebus.amqp.connection import LOGIN_TIMEOUT_S, Connection
from dstream_sandbox.servicebus.core import Broker
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Faults
from dstream_sandbox.servicebus.nodes.namespace import Namespace

__all__ = ["HOST", "ServiceBusServer", "server_tls"]

HOST = "127.0.0.1"
_BACKLOG = 512


class Listener(Protocol):
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


def server_tls(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class ServiceBusServer:
    """The listeners of one namespace, for one broker. The caller owns the broker and closes it afterwards."""

    def __init__(
        self, broker: Broker, keys: KeyRing, *, sink: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self.faults = Faults()
        self.counters = Counters()
        self.login_timeout_s = LOGIN_TIMEOUT_S
        self._namespace = Namespace(broker, keys, faults=self.faults, counters=self.counters, clock=clock, sink=sink)
        self.faults.on_change = self._namespace.apply_faults
        self._listeners: list[Listener] = []

    async def listen(self, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Accept AMQP and WebSockets on `port` (0: a free one). Return the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self._namespace, self.login_timeout_s),
            HOST,
            port,
            ssl=tls,
            backlog=_BACKLOG,
            reuse_address=True,
        )
        self._listeners.append(server)
        return int(server.sockets[0].getsockname()[1])

    def adopt(self, listener: Listener) -> None:
        """Close `listener`, such as the admin endpoint's, with this server."""
        self._listeners.append(listener)

    def control(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Handle a request to the admin port below `/_sandbox/`. Return the status and JSON."""
        if path == "/_sandbox/counters" and method == "GET":
            return 200, json.dumps(self.counters.snapshot()).encode()
        if path == FAULTS_PATH:
            return self.faults.handle(method, body)
        return 404, json.dumps({"error": f"{method} {path} not found"}).encode()

    async def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        await self._namespace.close()
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
