"""Single calls to the provider, over gRPC as the engine makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from dstream_sandbox.azure.wire import from_struct, to_struct
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

_TIMEOUT_S = 60.0


class Refused(Exception):
    pass


class Calls:
    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{port}",
            options=[("grpc.use_local_subchannel_pool", 1)],  # otherwise clients share a connection and its settings
        )
        self._stub = ResourceProviderStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def configure(self, **variables: str) -> None:
        self._stub.Configure(
            provider_pb2.ConfigureRequest(
                variables={f"azure-native:config:{name}": value for name, value in variables.items()}
            )
        )

    def cancel(self) -> None:
        self._stub.Cancel(Empty())

    def check(self, kind: str, inputs: Mapping[str, object], olds: Mapping[str, object] | None = None) -> Any:
        """The checked inputs, and the reasons why they are refused."""
        answer = self._stub.Check(
            provider_pb2.CheckRequest(urn=_urn(kind), news=to_struct(inputs), olds=to_struct(olds or {}))
        )
        return from_struct(answer.inputs), [each.reason for each in answer.failures]

    def create(self, kind: str, inputs: Mapping[str, object], *, preview: bool = False) -> tuple[str, dict[str, Any]]:
        """The id and outputs of the new resource. Raises Refused."""
        request = provider_pb2.CreateRequest(urn=_urn(kind), properties=to_struct(inputs), preview=preview)
        answer = _answer(self._stub.Create, request)
        return answer.id, from_struct(answer.properties)

    def read(self, kind: str, resource_id: str, inputs: Mapping[str, object] | None = None) -> Any:
        """The inputs and outputs, or None if the resource no longer exists."""
        request = provider_pb2.ReadRequest(urn=_urn(kind), id=resource_id, inputs=to_struct(inputs or {}))
        answer = _answer(self._stub.Read, request)
        return (from_struct(answer.inputs), from_struct(answer.properties)) if answer.id else None

    def update(self, kind: str, resource_id: str, inputs: Mapping[str, object]) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(urn=_urn(kind), id=resource_id, news=to_struct(inputs))
        return from_struct(_answer(self._stub.Update, request).properties)

    def delete(self, kind: str, resource_id: str) -> None:
        _answer(self._stub.Delete, provider_pb2.DeleteRequest(urn=_urn(kind), id=resource_id))

    def invoke(self, function: str, **args: object) -> dict[str, Any]:
        request = provider_pb2.InvokeRequest(tok=f"azure-native:{function}", args=to_struct(args))
        return from_struct(getattr(_answer(self._stub.Invoke, request), "return"))


def _urn(kind: str) -> str:
    token = kind if ":" in kind else f"servicebus:{kind}"
    return f"urn:pulumi:test::azure::azure-native:{token}::it"


def _answer(call: Any, request: Any) -> Any:
    try:
        return call(request, timeout=_TIMEOUT_S)
    except grpc.RpcError as error:
        raise Refused(error.details()) from error
