"""Azure as part of the Service Bus process: opens its state and serves gRPC on the process's asyncio loop, on 127.0.0.1
only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio

from dstream_sandbox.azure.cloud import Cloud
from dstream_sandbox.azure.handlers import handlers
from dstream_sandbox.azure.interference import Interference
from dstream_sandbox.azure.namespaces import LocalNamespace, OwnNamespaces
from dstream_sandbox.azure.own_peers import is_own_peer
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


class _OwnPeers(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Refuses calls from processes of other users. `port` is set before the start."""

    port = 0

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:  # the engine's calls are all of this kind
            return None

        async def checked(request: Any, context: Any) -> Any:
            if not is_own_peer(int(context.peer().rpartition(":")[2]), self.port):
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the sandbox serves only processes of its user")
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(checked, handler.request_deserializer, handler.response_serializer)


def _bind(provider: AzureProvider, port: int) -> tuple[Any, int]:
    own_peers = _OwnPeers()
    server = grpc.aio.server(
        interceptors=[own_peers],
        options=[
            ("grpc.so_reuseport", 0),  # otherwise a second sandbox would share the port
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ],
    )
    grpc_stubs.add_ResourceProviderServicer_to_server(provider, server)
    try:
        own_peers.port = int(server.add_insecure_port(f"{HOST}:{port}"))
    except RuntimeError as exc:
        raise OSError(f"port {port} on {HOST} cannot be used for Azure: {exc}") from exc
    return server, own_peers.port
