"""A cloud in a JSON file (world.py), served to the engine as a resource provider, with faults from a second file.

`faults.json`: a list of rules
{"op": "create", "name": "q1", "when": "before"|"after", "do": "error"|"wait"|"kill-engine"|"kill-provider"|"kill-both"|..}.
A rule applies once, except `error` and `wait`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import psutil
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from dstream.infra.engine.attachments import served
from tests.integration.infra.world import World

TYPE = "cloud:index:Queue"
REPLACING = ("name", "sessions")
VOLATILE = ("messages",)
_WAIT_S = 60.0


class CloudServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Queues with plain inputs. Changing `name` or `sessions` replaces; `messages` is an output that others change."""

    def __init__(self, folder: Path) -> None:
        self._world = World(folder)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(acceptSecrets=False, acceptResources=False, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        (self._world.folder / "cancelled").touch()
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = _dict(request.old_inputs), _dict(request.news)
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {}
        for path in sorted(_paths(old) | _paths(new)):
            was, is_ = _at(old, path), _at(new, path)
            if was == is_:
                continue
            replaces = path in REPLACING
            name = "ADD" if was is None else "DELETE" if is_ is None else "UPDATE"
            kind = kinds.Value(f"{name}_REPLACE" if replaces else name)
            detailed[path] = provider_pb2.PropertyDiff(kind=kind, inputDiff=True)
        changes = provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=changes,
            replaces=[path for path in detailed if path in REPLACING],
            diffs=[path.partition(".")[0].partition("[")[0] for path in detailed],
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = _dict(request.properties)
        id_ = f"/queues/{inputs['name']}"
        if request.preview:
            return provider_pb2.CreateResponse(id=id_, properties=request.properties)
        self._fault("create", inputs["name"], "before", context)
        with self._world.changed() as world:
            if id_ in world:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"cannot create already existing resource '{id_}'")
            world[id_] = {**inputs, "messages": 0}
        self._world.log(f"create {inputs['name']}")
        self._fault("create", inputs["name"], "after", context)
        return provider_pb2.CreateResponse(id=id_, properties=_struct({**inputs, "messages": 0}))

    def Read(self, request: Any, context: Any) -> Any:
        found = self._world.read().get(request.id)
        self._fault("read", request.id.rpartition("/")[2], "before", context)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = {key: value for key, value in found.items() if key not in VOLATILE}
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(found), inputs=_struct(inputs))

    def Update(self, request: Any, context: Any) -> Any:
        inputs = _dict(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=request.news)
        self._fault("update", inputs["name"], "before", context)
        with self._world.changed() as world:
            messages = world.get(request.id, {}).get("messages", 0)
            world[request.id] = {**inputs, "messages": messages}
        self._world.log(f"update {inputs['name']}")
        self._fault("update", inputs["name"], "after", context)
        return provider_pb2.UpdateResponse(properties=_struct({**inputs, "messages": messages}))

    def Delete(self, request: Any, context: Any) -> Any:
        name = request.id.rpartition("/")[2]
        self._fault("delete", name, "before", context)
        with self._world.changed() as world:
            world.pop(request.id, None)
        self._world.log(f"delete {name}")
        self._fault("delete", name, "after", context)
        return empty_pb2.Empty()

    def _fault(self, op: str, name: str, when: str, context: Any) -> None:
        file = self._world.folder / "faults.json"
        rules = json.loads(file.read_text()) if file.exists() else []
        for rule in rules:
            if (rule["op"], rule["name"], rule.get("when", "before")) != (op, name, when):
                continue
            if rule["do"] == "error":
                context.abort(grpc.StatusCode.INTERNAL, rule["message"])
            if rule["do"] == "wait":
                _wait(self._world.folder / rule["file"])
                continue
            file.write_text(json.dumps([each for each in rules if each != rule]))
            self._kill(rule["do"])
            if when == "before":
                context.abort(grpc.StatusCode.UNAVAILABLE, "the caller was killed")

    def _kill(self, what: str) -> None:
        engines = [each for each in psutil.Process().children(recursive=True) if "pulumi" in each.name()]
        if what in ("kill-engine", "kill-both"):
            for engine in engines:
                engine.kill()
        if what in ("kill-provider", "kill-both"):
            os.kill(os.getpid(), signal.SIGKILL)


def _wait(file: Path) -> None:
    """Signal that this point was reached, then wait for the file."""
    file.with_suffix(".reached").touch()
    deadline = time.monotonic() + _WAIT_S
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def _dict(struct: Any) -> dict[str, Any]:
    value: dict[str, Any] = json_format.MessageToDict(struct)
    return {key: item for key, item in value.items() if item is not None and not key.startswith("__")}


def _struct(value: Mapping[str, Any]) -> Any:
    struct = struct_pb2.Struct()
    struct.update(value)
    return struct


def _paths(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict) and value:
        return {each for key, item in value.items() for each in _paths(item, f"{prefix}.{key}" if prefix else key)}
    if isinstance(value, list) and value:
        return {each for index, item in enumerate(value) for each in _paths(item, f"{prefix}[{index}]")}
    return {prefix}


def _at(value: Any, path: str) -> Any:
    for part in path.replace("[", ".[").split("."):
        try:
            value = value[int(part[1:-1])] if part.startswith("[") else value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


if __name__ == "__main__":
    with served({"cloud": CloudServicer(Path(sys.argv[1]))}, parallel=None) as ports:
        print(ports["cloud"], flush=True)  # noqa: T201 - read by the parent process
        sys.stdin.read()
