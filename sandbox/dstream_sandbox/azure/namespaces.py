"""The running namespaces. Each has a broker, listeners and a folder."""

from __future__ import annotations

import shutil
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dstream_sandbox.azure.records import NamespaceRecord, Records, entity_keys, shared_keys
from dstream_sandbox.servicebus.access import KeyRing, SharedKey
from dstream_sandbox.servicebus.admin import AdminListener, AdminRoutes, Control
from dstream_sandbox.servicebus.broker import LocalBroker, open_broker
from dstream_sandbox.servicebus.broker.limits import Profile
from dstream_sandbox.servicebus.entity_policies import entity_policies
from dstream_sandbox.servicebus.server import HOST, ServiceBusServer

__all__ = ["LocalNamespace", "OwnNamespaces", "RunningNamespace", "profile_of"]


class RunningNamespace(Protocol):
    """The part of a namespace that its resources use."""

    @property
    def broker(self) -> LocalBroker: ...
    @property
    def amqp_port(self) -> int: ...
    @property
    def admin_port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class LocalNamespace:
    """The namespace that the process was started for."""

    broker: LocalBroker
    amqp_port: int
    admin_port: int


@dataclass(frozen=True, slots=True)
class _Own:
    broker: LocalBroker
    server: ServiceBusServer
    amqp_port: int
    admin_port: int

    async def close(self) -> None:
        await self.server.close()
        await self.broker.close()


def profile_of(tier: str) -> Profile:
    return "premium" if tier == "Premium" else "standard"


class OwnNamespaces:
    """The namespaces created through the engine. They start when created, and whenever the process starts."""

    def __init__(self, folder: Path, records: Records, tls: ssl.SSLContext | None, control_token: str) -> None:
        self._folder = folder / "namespaces"
        self._records = records
        self._tls = tls
        self._control_token = control_token
        self._running: dict[str, _Own] = {}

    def find(self, name: str) -> RunningNamespace | None:
        return self._running.get(name.lower())

    async def make(self, record: NamespaceRecord) -> None:
        """Start a new namespace, removing leftovers of an interrupted deletion. Raises OSError if one of its ports is
        in use."""
        shutil.rmtree(self._folder / record.name.lower(), ignore_errors=True)
        await self.start(record)

    async def start(self, record: NamespaceRecord) -> None:
        """Start a recorded namespace. Raises OSError if one of its ports is in use."""
        key = record.name.lower()
        data = self._folder / key
        data.mkdir(parents=True, exist_ok=True)

        def keys() -> list[SharedKey]:
            current = self._records.namespaces.get(key)
            return shared_keys(current) if current else []

        broker = open_broker(data, profile=profile_of(record.tier), clock=time.time)
        server = ServiceBusServer(broker, KeyRing(keys, entity_keys(self._records, key, entity_policies(broker))))
        try:
            await server.listen(record.amqp_port)
            control = Control(server.control, self._control_token)
            routes = AdminRoutes(record.name, broker, KeyRing(keys), control)
            server.adopt(AdminListener.bind(HOST, record.admin_port, self._tls, routes.answer))
        except OSError as exc:
            await server.close()
            await broker.close()
            raise OSError(f"a port of the namespace '{record.name}' cannot be used: {exc}") from exc
        self._running[key] = _Own(broker, server, record.amqp_port, record.admin_port)

    async def remove(self, name: str) -> None:
        """Stop the namespace, and delete its entities and messages."""
        if own := self._running.pop(name.lower(), None):
            await own.close()
        shutil.rmtree(self._folder / name.lower(), ignore_errors=True)

    async def close(self) -> None:
        while self._running:
            _, own = self._running.popitem()
            await own.close()
