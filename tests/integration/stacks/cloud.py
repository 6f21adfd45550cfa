"""A small in-memory cloud behind the engine's provider interface: stores, finds and deletes what it is given."""

from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc
from dstream_stacks.resource_ids import PATHS, resource_id
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


class Cloud(provider_pb2_grpc.ResourceProviderServicer):
    """`resources`: inputs by id. `calls`: the changes, in order. Inputs that differ from the recorded ones are an
    update; a different name, or flag that Azure fixes at creation, is a replacement.
    """

    REPLACES = ("requiresSession", "requiresDuplicateDetection", "enablePartitioning")

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.refuse_lookups = ""
        self.tier = "Standard"
        self._server = grpc.server(futures.ThreadPoolExecutor(16))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="3.29.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=False, acceptOutputs=False)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = _plain(request.old_inputs), _plain(request.news)
        changed = [name for name in {*old, *new} if old.get(name) != new.get(name)]
        replaces = [name for name in changed if name in self.REPLACES or name.endswith("Name")]
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=changed, replaces=replaces, deleteBeforeReplace=True)

    def Create(self, request: Any, context: Any) -> Any:
        inputs = _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        made = resource_id(request.type, inputs, SUBSCRIPTION)
        assert made is not None
        self.calls.append(("create", made))
        if made in self.resources:
            context.abort(grpc.StatusCode.UNKNOWN, f"cannot create already existing resource '{made}'")
        self.resources[made] = inputs
        return provider_pb2.CreateResponse(id=made, properties=_outputs(request.type, inputs))

    def Read(self, request: Any, context: Any) -> Any:
        inputs = self.resources.get(request.id)
        if inputs is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id, inputs=_struct(inputs), properties=_outputs(request.type, inputs)
        )

    def Update(self, request: Any, context: Any) -> Any:
        if not request.preview:
            self.calls.append(("update", request.id))
            self.resources[request.id] = _plain(request.news)
        return provider_pb2.UpdateResponse(properties=_outputs(request.type, _plain(request.news)))

    def Delete(self, request: Any, context: Any) -> Any:
        self.calls.append(("delete", request.id))
        below = [each for each in self.resources if each.startswith(f"{request.id}/")]
        for gone in (request.id, *below):
            self.resources.pop(gone, None)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        args = _plain(request.args)
        if self.refuse_lookups and ":get" in request.tok:
            context.abort(grpc.StatusCode.UNKNOWN, self.refuse_lookups)
        match request.tok.rpartition(":")[2]:
            case "listNamespaceKeys" | "listQueueKeys" | "listTopicKeys":
                self.calls.append(("listKeys", args["authorizationRuleName"]))
                key = f"Endpoint=sb://{args['namespaceName']}/;SharedAccessKeyName={args['authorizationRuleName']}"
                return _returned({"primaryConnectionString": key})
            case "getClientConfig":
                return _returned({"subscriptionId": SUBSCRIPTION, "clientId": "", "tenantId": "", "objectId": ""})
            case "getNamespace":
                sku = {"name": self.tier}
                return _returned({"name": args["namespaceName"], "serviceBusEndpoint": "https://ns/", "sku": sku})
        resource_type = request.tok.replace(":get", ":")
        found = resource_id(resource_type, args, SUBSCRIPTION)
        if found not in self.resources:
            message = f'invocation failed: request failed {found}: Status=404 Code="NotFound" Message="gone"'
            context.abort(grpc.StatusCode.UNKNOWN, message)
        return _returned(self.resources[found])


def _outputs(resource_type: str, inputs: dict[str, Any]) -> struct_pb2.Struct:
    path = PATHS[resource_type].rpartition("{")[2].rstrip("}")
    return _struct({**inputs, "name": inputs.get(path, "$Default"), "serviceBusEndpoint": "https://ns/"})


def _returned(values: dict[str, Any]) -> Any:
    return provider_pb2.InvokeResponse(**{"return": _struct(values)})


def _struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    values: dict[str, Any] = json_format.MessageToDict(struct)
    return values
