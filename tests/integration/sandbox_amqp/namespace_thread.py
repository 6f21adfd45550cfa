"""A namespace with real sockets and a real broker, on a thread of the test process so that tests can access it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from azure.servicebus import ServiceBusClient, TransportType
from dstream_sandbox.certificates import ensure_certificates
from dstream_sandbox.servicebus.access import KeyRing, SharedKey
from dstream_sandbox.servicebus.broker import LocalBroker, open_broker
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription
from dstream_sandbox.servicebus.broker.limits import Profile
from dstream_sandbox.servicebus.entity_policies import entity_policies
from dstream_sandbox.servicebus.server import ServiceBusServer, server_tls

KEY_NAME, KEY = "RootManageSharedAccessKey", "c2FuZGJveC1rZXk="
LISTENER_NAME, LISTENER_KEY = "listen-only", "bGlzdGVu"
_T = TypeVar("_T")


class NamespaceThread:
    def __init__(self, folder: Path, *, profile: Profile = "standard") -> None:
        self._folder = folder
        self._profile: Profile = profile
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._names = count(1)
        self._ahead_s = 0.0
        self.server: ServiceBusServer
        self.broker: LocalBroker
        self.amqp_port = 0
        self.amqps_port = 0

    def start(self) -> NamespaceThread:
        ensure_certificates(self._folder)
        self._thread.start()
        self.call(self._open())
        return self

    def stop(self) -> None:
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def advance(self, seconds: float) -> None:
        """Advance this namespace's clock."""
        self._ahead_s += seconds
        self.on_loop(self.broker.advance)

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def on_loop(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Call a function on the server's event loop."""

        async def call() -> _T:
            return function(*arguments)

        return self.call(call())

    def queue(self, **description: Any) -> str:
        """The name of a new queue for this test."""
        name = f"Queue-{next(self._names)}"
        self.call(self.broker.entities.create_queue(name, QueueDescription(**description)))
        return name

    def subscription(self) -> str:
        """The path of a new subscription to a new topic."""
        topic = f"Topic-{next(self._names)}"
        self.call(self.broker.entities.create_topic(topic))
        self.call(self.broker.entities.create_subscription(topic, "Sub"))
        return f"{topic}/Subscriptions/Sub"

    def connection_string(self, key_name: str = KEY_NAME, key: str = KEY, *, emulator: bool = True) -> str:
        flag = "UseDevelopmentEmulator=true;" if emulator else ""
        endpoint = f"sb://localhost:{self.amqp_port}" if emulator else "sb://sandbox.servicebus.windows.net"
        return f"Endpoint={endpoint};SharedAccessKeyName={key_name};SharedAccessKey={key};{flag}"

    def client(self, **options: Any) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.connection_string(), **options)

    def tls_client(self, **options: Any) -> ServiceBusClient:
        """A client configured as for Azure, except that its endpoint is local."""
        return ServiceBusClient.from_connection_string(
            self.connection_string(emulator=False),
            custom_endpoint_address=f"sb://localhost:{self.amqps_port}",
            connection_verify=str(self._folder / "ca.pem"),
            **{"transport_type": TransportType.Amqp, **options},
        )

    def _clock(self) -> float:
        return time.time() + self._ahead_s

    async def _open(self) -> None:
        self.broker = open_broker(self._folder, profile=self._profile, clock=self._clock)
        keys = KeyRing(
            [SharedKey(KEY_NAME, (KEY,)), SharedKey(LISTENER_NAME, (LISTENER_KEY,), frozenset(("Listen",)))],
            entity_policies(self.broker),
        )
        self.server = ServiceBusServer(self.broker, keys, clock=self._clock)
        self.amqp_port = await self.server.listen(0)
        tls = server_tls(str(self._folder / "server.pem"), str(self._folder / "server.key"))
        self.amqps_port = await self.server.listen(0, tls)

    async def _close(self) -> None:
        await self.server.close()
        await self.broker.close()
