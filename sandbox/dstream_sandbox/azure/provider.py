"""The resource provider that the Pulumi engine uses as `azure-native`.

Protocol: pulumi, proto/pulumi/provider.proto. The calls behave as in azure-native's provider/pkg/provider/provider.go;
docs/operations/sandbox.md lists the differences. All calls run on one asyncio loop. A change that has started completes
even if the engine disconnects or cancels.
"""

# ruff: noqa: N802  # names of the protocol

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]  # ships no types

from dstream_sandbox.azure.changes import changes
from dstream_sandbox.azure.checks import AUTONAMED, failures, made_up_name, with_names
from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.descriptions import tier_defaults
from dstream_sandbox.azure.errors import AlreadyExists, AzureError, unreadable_default_rule
from dstream_sandbox.azure.functions import Functions, UnknownFunction
from dstream_sandbox.azure.handlers import handlers
from dstream_sandbox.azure.ids import Place, place_of, place_of_id
from dstream_sandbox.azure.interference import Interference
from dstream_sandbox.azure.protocol import grpc_stubs, plugin_pb2, provider_pb2
from dstream_sandbox.azure.refreshed import refreshed_inputs
from dstream_sandbox.azure.resource_types import DEFAULT_RULE, SUBSCRIPTION, TYPES, ResourceType
from dstream_sandbox.azure.values import UNKNOWN, has_unknown
from dstream_sandbox.azure.wire import from_struct, to_struct
from dstream_sandbox.folder import SUBSCRIPTION_ID
from dstream_sandbox.servicebus.faults import Operation

__all__ = ["VERSION", "AzureProvider"]

VERSION = "3.29.0"
_CONFIG = "azure-native:config:"
_ARM = "https://management.azure.com"
_METHODS: Mapping[Operation, str] = {
    "create": "Put",
    "read": "Get",
    "update": "Put",
    "delete": "Delete",
    "list_keys": "Post",
}


class AzureProvider(grpc_stubs.ResourceProviderServicer):  # type: ignore[misc]  # generated code has no types
    def __init__(self, cloud: Cloud, interference: Interference, token: str) -> None:
        """`token`: what `getClientToken` returns."""
        self._cloud = cloud
        self._handlers = handlers(cloud)
        self._functions = Functions(cloud, self._handlers, interference, token)
        self._interference = interference
        self._config: dict[str, dict[str, str]] = {}
        """Settings by connection: each provider of a program has its own connection, and later calls do not name the
        provider."""
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """By connection."""
        self._abandoned: set[asyncio.Future[None]] = set()
        """Requests that nobody waits for any more; asyncio keeps weak references only."""

    # The provider itself

    async def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(supports_autonaming_configuration=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    async def GetSchema(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the sandbox does not provide azure-native's schema")

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse()

    async def Configure(self, request: Any, context: Any) -> Any:
        config = {name.removeprefix(_CONFIG): value for name, value in request.variables.items()}
        self._config[context.peer()] = config
        self._cancelled.pop(context.peer(), None)  # of an earlier connection from the same port
        return provider_pb2.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

    async def Cancel(self, request: Any, context: Any) -> Any:
        """Called at the end of every operation, and when it is interrupted.

        Like azure-native, whose requests share a context that Cancel ends (provider.go, Create), it aborts the requests
        under way; Azure completes those that it has received.
        """
        self._cancelled[context.peer()].set()
        return Empty()

    # Resources

    async def Check(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        olds, news = from_struct(request.olds), from_struct(request.news)
        inputs = with_names(kind, news, olds, _proposed_name(request))
        if kind.located and inputs.get("location") is None:
            inputs["location"] = self._location(olds, inputs, context)
        found = [provider_pb2.CheckFailure(property=path, reason=why) for path, why in failures(kind, inputs)]
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=found)

    async def Diff(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        recorded, wanted = from_struct(request.old_inputs), from_struct(request.news)
        found = changes(kind, recorded, wanted, self._defaults(kind, request.id))
        replaces = [change.path for change in found if change.replaces]
        response = provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=[change.path for change in found],
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and not recorded.get(AUTONAMED),
            hasDetailedDiff=True,
        )
        for change in found:
            name = change.how.upper() + ("_REPLACE" if change.replaces else "")
            detail = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(name), inputDiff=True)
            response.detailedDiff[change.path].CopyFrom(detail)
        return response

    async def Create(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        inputs = from_struct(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(_previewed(kind, inputs)))
        place = place_of(kind, self._subscription(context), inputs)

        async def create() -> None:
            await self._put(place, self._handlers[kind.token].create(place, inputs))
            self._interference.created(place)

        await self._change("create", place, create, context)
        return provider_pb2.CreateResponse(id=place.id, properties=await self._state(place, context))

    async def Read(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        place = place_of_id(kind, request.id)
        if place is None:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"'{request.id}' is not an id of {kind.token}; expected /subscriptions/{{subscriptionId}}{kind.path}",
            )
            raise AssertionError("abort raises")
        await self._change("read", place, _nothing, context)
        found = None if self._interference.is_hidden(place) else self._handlers[kind.token].read(place)
        if found is None:
            await self._refuse_to_guess(place, context)
            return provider_pb2.ReadResponse()
        recorded = from_struct(request.inputs) or None
        inputs = refreshed_inputs(kind, recorded, place.names, found.settings, self._defaults(kind, request.id))
        return provider_pb2.ReadResponse(
            id=request.id, properties=to_struct(_outputs(place, found)), inputs=to_struct(inputs)
        )

    async def Update(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        inputs = from_struct(request.news)
        if request.preview:
            olds = from_struct(request.olds)
            previewed = _previewed(kind, inputs)
            previewed.update({name: olds[name] for name in ("name", "location") if name in olds})
            return provider_pb2.UpdateResponse(properties=to_struct(previewed))
        place = place_of(kind, self._subscription(context), inputs)
        handler = self._handlers[kind.token]
        await self._change("update", place, lambda: self._put(place, handler.update(place, inputs)), context)
        return provider_pb2.UpdateResponse(properties=await self._state(place, context))

    async def Delete(self, request: Any, context: Any) -> Any:
        kind = await self._kind(request, context)
        place = place_of_id(kind, request.id)
        if place is not None:
            handler = self._handlers[kind.token]
            found = place
            await self._change("delete", place, lambda: handler.delete(found), context)
        return Empty()

    # Functions

    async def Invoke(self, request: Any, context: Any) -> Any:
        args = from_struct(request.args)
        try:
            answer = await self._functions.call(request.tok, self._subscription(context), args)
        except (UnknownFunction, AzureError) as exc:
            await context.abort(grpc.StatusCode.UNKNOWN, str(exc))
        return provider_pb2.InvokeResponse(**{"return": to_struct(answer)})

    # Inside

    async def _kind(self, request: Any, context: Any) -> ResourceType:
        token = request.urn.split("::")[2].rpartition("$")[2]
        kind = TYPES.get(token)
        if kind is None:
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"the sandbox does not emulate resources of type {token}; docs/operations/sandbox.md lists the "
                "emulated ones",
            )
            raise AssertionError("abort raises")
        return kind

    async def _change(
        self, operation: Operation, place: Place, act: Callable[[], Awaitable[None]], context: Any
    ) -> None:
        request = asyncio.ensure_future(
            self._interference.around(operation, place, lambda: asyncio.shield(asyncio.ensure_future(_run(act))))
        )
        cancellation = asyncio.ensure_future(self._cancelled[context.peer()].wait())
        try:
            await asyncio.wait((request, cancellation), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the engine has disconnected
            request.cancel()
            raise
        finally:
            cancellation.cancel()
        if not request.done():
            self._abandoned.add(request)
            request.add_done_callback(self._forget)
            await context.abort(grpc.StatusCode.UNKNOWN, f'{_METHODS[operation]} "{_ARM}{place.id}": context canceled')
        try:
            request.result()
        except (AzureError, AlreadyExists) as exc:
            await context.abort(grpc.StatusCode.UNKNOWN, str(exc))

    def _forget(self, request: asyncio.Future[None]) -> None:
        self._abandoned.discard(request)
        if not request.cancelled():
            request.exception()  # nobody waits for it

    async def _put(self, place: Place, change: Awaitable[None]) -> None:
        before = self._handlers[place.type.token].read(place)
        await change
        if _is_default_rule(place) and before != self._handlers[place.type.token].read(place):
            self._interference.default_rule_changed(place)

    async def _refuse_to_guess(self, place: Place, context: Any) -> None:
        """A missing `$Default` of an existing subscription may only be unreadable."""
        subscription = place_of_id(TYPES[SUBSCRIPTION], place.parent_id) if _is_default_rule(place) else None
        if subscription is not None and self._handlers[SUBSCRIPTION].read(subscription) is not None:
            await context.abort(grpc.StatusCode.UNKNOWN, unreadable_default_rule(place.id))

    async def _state(self, place: Place, context: Any) -> Any:
        """Read the resource after a write (provider.go, readAfterWrite)."""
        found = self._handlers[place.type.token].read(place)
        if found is None:
            await context.abort(grpc.StatusCode.UNKNOWN, f"'{place.id}' was deleted during the write")
            raise AssertionError("abort raises")
        return to_struct(_outputs(place, found))

    def _defaults(self, kind: ResourceType, resource_id: str) -> Mapping[str, object]:
        place = place_of_id(kind, resource_id)
        record = self._cloud.find_namespace(place) if place and "namespaceName" in place.names else None
        return tier_defaults(kind, record.tier) if record else {}

    def _subscription(self, context: Any) -> str:
        return self._config.get(context.peer(), {}).get("subscriptionId") or SUBSCRIPTION_ID

    def _location(self, olds: Mapping[str, Any], inputs: Mapping[str, Any], context: Any) -> object:
        """provider.go, getDefaultLocation: the existing location, the program's setting, or the resource group's."""
        if "location" in olds:
            return olds["location"]
        if configured := self._config.get(context.peer(), {}).get("location"):
            return configured
        group = inputs.get("resourceGroupName")
        if has_unknown(group):
            return UNKNOWN
        record = self._cloud.records.group(group) if isinstance(group, str) else None
        return record.settings.get("location") if record else None


def _is_default_rule(place: Place) -> bool:
    return place.type.path.endswith(DEFAULT_RULE)


async def _nothing() -> None:
    """For reads, which the caller does itself."""


async def _run(act: Callable[[], Awaitable[None]]) -> None:
    await act()


def _proposed_name(request: Any) -> str | None:
    """A name from Pulumi's autonaming settings, or one that azure-native generates."""
    options = provider_pb2.CheckRequest.AutonamingOptions
    if request.HasField("autonaming"):
        return None if request.autonaming.mode == options.DISABLE else str(request.autonaming.proposed_name)
    return made_up_name(request.urn, request.randomSeed)


def _previewed(kind: ResourceType, inputs: Mapping[str, object]) -> dict[str, object]:
    """The properties in a preview. Unset ones are known only after the operation, and so are user-assigned identities:
    a program lists them, but Azure returns each with its ids in Entra ID.
    """
    names = [*(each.name for each in kind.properties), *kind.outputs]
    return {name: UNKNOWN if name == "identity" else inputs.get(name, UNKNOWN) for name in names}


def _outputs(place: Place, found: Found) -> dict[str, object]:
    kind = place.type
    common = {"azureApiVersion": kind.api_version, "name": place.name, "type": kind.arm_type}
    return {**found.settings, **found.outputs, **common}
