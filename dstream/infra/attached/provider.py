"""A Pulumi resource provider for custom resource types, which the engine attaches to.

It answers the engine's calls (pulumi/provider.proto) and delegates the resources to `ResourceType`s, which do not
depend on Pulumi. Credentials stay in those objects and never become inputs or state. The provider is stateless, so the
engine may call it on any thread of its server. `Definition.attached` maps package names to providers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]  # ships no types
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from dstream.errors import DStreamError
from dstream.infra.attached.check import problems
from dstream.infra.attached.diff import Change, changes, real_inputs
from dstream.infra.attached.types import (
    Actual,
    Kind,
    Property,
    ResourceFailed,
    ResourceType,
    Values,
)
from dstream.infra.attached.values import to_struct, to_values

_KINDS = {
    ("add", False): pb.PropertyDiff.ADD,
    ("add", True): pb.PropertyDiff.ADD_REPLACE,
    ("delete", False): pb.PropertyDiff.DELETE,
    ("delete", True): pb.PropertyDiff.DELETE_REPLACE,
    ("update", False): pb.PropertyDiff.UPDATE,
    ("update", True): pb.PropertyDiff.UPDATE_REPLACE,
}
_SCHEMA_TYPES: dict[Kind, dict[str, Any]] = {
    "duration": {"type": "string"},
    "object": {"type": "object"},
    "map": {"type": "object"},
    "list": {"type": "array", "items": {"$ref": "pulumi.json#/Any"}},
}


class AttachedResources(ResourceProviderServicer):
    """Serves `types`, by token such as `dstream:servicebus:Queue`; the first part is the package's name."""

    def __init__(self, types: Mapping[str, ResourceType], version: str) -> None:
        self._types = types
        self._version = version

    def exists(self, token: str, resource_id: str) -> bool:
        """Whether the resource exists, for programs that import. Raises ResourceFailed if that cannot be determined."""
        return self._types[token].read(resource_id) is not None

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Called at the end of every operation; the next operation uses the same server."""
        return Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        package = next(iter(self._types), "").partition(":")[0]
        resources = {token: _schema(each.properties) for token, each in self._types.items()}
        return pb.GetSchemaResponse(
            schema=json.dumps({"name": package, "version": self._version, "resources": resources})
        )

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Refuse secrets: the engine then sends plain values and restores their marks by name."""
        return pb.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            known, inputs = self._type(request.urn), to_values(request.news)
            found = list(problems(known.properties, inputs)) or list(known.problems(inputs).items())
            failures = [pb.CheckFailure(property=path, reason=f"{path} {reason}") for path, reason in found]
            return pb.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            olds = request.old_inputs if request.HasField("old_inputs") else request.olds
            found = changes(self._type(request.urn).properties, to_values(olds), to_values(request.news))
            found = [each for each in found if not _is_ignored(each.path, request.ignoreChanges)]
            replaces = sorted({each.path for each in found if each.replaces})
            return pb.DiffResponse(
                changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
                diffs=sorted({_top(each.path) for each in found}),
                replaces=replaces,
                deleteBeforeReplace=bool(replaces),  # the new resource usually has the name of the old one
                hasDetailedDiff=True,
                detailedDiff={each.path: _detail(each) for each in found},
            )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            known, inputs = self._type(request.urn), to_values(request.properties)
            if request.preview:
                return pb.CreateResponse(properties=to_struct(inputs))
            resource_id, actual = known.create(inputs)
            return pb.CreateResponse(id=resource_id, properties=to_struct(_state(inputs, actual)))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            known, recorded = self._type(request.urn), to_values(request.inputs)
            actual = known.read(request.id)
            if actual is None:
                return pb.ReadResponse()
            # An import has no recorded inputs.
            inputs = real_inputs(known.properties, actual.settings, recorded, to_values(request.properties))
            return pb.ReadResponse(
                id=request.id, inputs=to_struct(inputs), properties=to_struct(_state(inputs, actual))
            )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            known, news = self._type(request.urn), to_values(request.news)
            olds = to_values(request.old_inputs if request.HasField("old_inputs") else request.olds)
            inputs = {**_defaults(known.properties, olds.keys() - news.keys()), **news}
            if request.preview:
                return pb.UpdateResponse(properties=to_struct({**to_values(request.olds), **inputs}))
            return pb.UpdateResponse(properties=to_struct(_state(news, known.update(request.id, inputs))))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            self._type(request.urn).delete(request.id)
            return Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with _told(context):
            raise ResourceFailed(f"{request.tok}: this provider has no functions")

    def _type(self, urn: str) -> ResourceType:
        token = urn.split("::")[2].rpartition("$")[2]
        if token not in self._types:
            raise ResourceFailed(f"unknown resource type {token}; known types: {', '.join(sorted(self._types))}")
        return self._types[token]


@contextmanager
def _told(context: grpc.ServicerContext) -> Iterator[None]:
    """Report failures with status `unknown`: the engine shows the text, whereas it interprets other codes."""
    try:
        yield
    except (ResourceFailed, DStreamError) as failure:
        _abort(context, str(failure))
    except Exception as error:  # noqa: BLE001  # the engine must receive any error, in one line
        _abort(context, f"{type(error).__name__}: {error}")


def _abort(context: grpc.ServicerContext, text: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, " ".join(text.split()))
    raise AssertionError("abort raises")


def _state(inputs: Values, actual: Actual) -> Values:
    """Return what to record: inputs, overridden by the actual settings, and outputs."""
    settings = {name: value for name, value in actual.settings.items() if value is not None}
    return {**inputs, **settings, **actual.outputs}


def _defaults(properties: Mapping[str, Property], names: set[str]) -> dict[str, Any]:
    return {name: next(iter(properties[name].defaults), None) for name in names if name in properties}


def _detail(change: Change) -> Any:
    return pb.PropertyDiff(kind=_KINDS[change.kind, change.replaces], inputDiff=True)


def _is_ignored(path: str, ignored: list[str]) -> bool:
    return any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in ignored)


def _top(path: str) -> str:
    return path.replace("[", ".").partition(".")[0]


def _schema(properties: Mapping[str, Property]) -> dict[str, Any]:
    types = {name: _SCHEMA_TYPES.get(each.kind, {"type": each.kind}) for name, each in properties.items()}
    return {"inputProperties": types, "requiredInputs": [name for name, each in properties.items() if each.required]}
