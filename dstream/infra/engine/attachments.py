"""Serves resource providers to the engine during a command, at ports that only processes of this user can use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dstream.infra.engine.own_peers import is_own_peer

if TYPE_CHECKING:
    import grpc
    from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

_ENGINE_THREADS_A_CORE = 4
"""The engine's default parallelism (pulumi/pkg/cmd/pulumi/operations/up.go)."""
_SPARE_THREADS = 16
_MAX_MESSAGE = 400 * 1024 * 1024
"""The engine's limit (pulumi/sdk/go/common/util/rpcutil)."""


@contextmanager
def served(servicers: Mapping[str, ResourceProviderServicer], parallel: int | None) -> Iterator[Mapping[str, int]]:
    """Serve the providers and yield their loopback ports by package name.

    There are more threads than the engine makes concurrent calls, so that waiting calls cannot block others.
    """
    import grpc
    from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

    threads = max(parallel or 0, _ENGINE_THREADS_A_CORE * (os.cpu_count() or 1)) + _SPARE_THREADS
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    servers = []
    ports = {}
    try:
        for name, servicer in servicers.items():
            pool = ThreadPoolExecutor(threads, thread_name_prefix=f"attached-{name}")
            own_peers = _own_peers()
            server = grpc.server(pool, interceptors=[own_peers], options=options)
            add_ResourceProviderServicer_to_server(servicer, server)
            ports[name] = own_peers.port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            servers.append(server)
        yield ports
    finally:
        for server in servers:
            server.stop(grace=None)


@contextmanager
def no_language() -> Iterator[int]:
    """Serve a language host without a program, and yield its loopback port.

    `pulumi import` starts the language host of Pulumi.yaml, which is not part of the CLI, and asks for its packages.
    """
    import grpc
    from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]  # ships no types
    from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

    class NoLanguage(language_pb2_grpc.LanguageRuntimeServicer):
        def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
            return language_pb2.LanguageHandshakeResponse()

        def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
            return plugin_pb2.PluginInfo(version="0.0.0")

        def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
            return language_pb2.GetRequiredPackagesResponse()

        def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
            return Empty()

    server = grpc.server(ThreadPoolExecutor(2, thread_name_prefix="language"))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(NoLanguage(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None)


def _own_peers() -> Any:
    """Return an interceptor that refuses calls from processes of other users; its `port` is set before the start."""
    import grpc

    class OwnPeers(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
        port = 0

        def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = continuation(details)
            if handler is None or handler.unary_unary is None:  # the engine's calls are all of this kind
                return None

            def checked(request: Any, context: grpc.ServicerContext) -> Any:
                if not is_own_peer(int(context.peer().rpartition(":")[2]), self.port):
                    context.abort(grpc.StatusCode.PERMISSION_DENIED, "this provider serves only processes of its user")
                return handler.unary_unary(request, context)

            return grpc.unary_unary_rpc_method_handler(
                checked, handler.request_deserializer, handler.response_serializer
            )

    return OwnPeers()
