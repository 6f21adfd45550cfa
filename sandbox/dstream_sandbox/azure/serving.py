"""Azure as part of the Service Bus process: opens its state and serves gRPC on the process's asyncio loop, on 127.0.0.1
only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc.aio

from dstream_sandbox.azure.cloud import Cloud
from dstream_sandbox.azure.handlers import handlers
from dstream_sandbox.azure.interference import Interference
from dstream_sandbox.azure.namespaces import LocalNamespace, OwnNamespaces
from dstream_sandbox.azure.protocol import grpc_stubs
from dstream_sandbox.azure.provider import AzureProvider
from dstream_sandbox.azure.records import Records
from dstream_sandbox.azure.rest import ArmRest
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.server import HOST, ServiceBusServer

__all__ = ["Azure", "open_azure"]

_MAX_MESSAGE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Azure:
    port: int
    rest: ArmRest
    _server: Any
    _cloud: Cloud

    async def close(self) -> None:
        """Stop immediately: an engine that waits for a delayed response gets an error."""
        await self._server.stop(None)
        await self._cloud.close()


async def open_azure(
    port: int,
    records: Records,
    server: ServiceBusServer,
    broker: LocalBroker,
    data: Path,
    ports: Mapping[str, object],
    tls: ssl.SSLContext | None,
    root_key: str,
    token: str,
) -> Azure:
    """Listen on `port` (0: any free port). `ports`: the ports of the process's own namespace. Raises OSError if a port
    is in use.

    `token`: what clients of Azure Resource Manager's REST API send; `getClientToken` returns it.
    """
    local = LocalNamespace(broker, cast("int", ports["amqp_port"]), cast("int", ports["admin_port"]))
    cloud = Cloud(records, local, OwnNamespaces(data, records, tls, token))
    try:
        await cloud.open(root_key)
        listening, bound = _bind(AzureProvider(cloud, Interference(server.faults, server.counters), token), port)
        await listening.start()
    except BaseException:
        await cloud.close()
        raise
    return Azure(bound, ArmRest(cloud, handlers(cloud), token), listening, cloud)


def _bind(provider: AzureProvider, port: int) -> tuple[Any, int]:
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),  # otherwise a second sandbox would share the port
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ]
    )
    grpc_stubs.add_ResourceProviderServicer_to_server(provider, server)
    try:
        return server, int(server.add_insecure_port(f"{HOST}:{port}"))
    except RuntimeError as exc:
        raise OSError(f"port {port} on {HOST} cannot be used for Azure: {exc}") from exc
