"""test_infrastructure: an output with infrastructure. `provider = "test_infrastructure"` in an HCL file.

Its infrastructure is a JSON file: `real` is what exists, `recorded` what this provider made. Edit `real` to see drift.
Any step can be told to fail or to be slow, so that it shows what a user sees then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from dstream.sdk import (
    Batch,
    Difference,
    Duration,
    InfrastructureContext,
    InfrastructureProviderBase,
    OutputProvider,
    Plan,
    Resource,
    Result,
    Status,
    StdioProviderHost,
)
from dstream.sdk.errors import (
    AuthError,
    ConfigError,
    DStreamError,
    LockedError,
    RefusedError,
    SystemFault,
    TransientError,
    UnreachableError,
)

Settings = dict[str, str | int | float | bool]
FailureKind = Literal["config", "auth", "unreachable", "locked", "refused", "transient", "system"]

_TYPE = "test:Queue"
_ERRORS: Mapping[FailureKind, type[DStreamError]] = {
    "config": ConfigError,
    "auth": AuthError,
    "unreachable": UnreachableError,
    "locked": LockedError,
    "refused": RefusedError,
    "transient": TransientError,
    "system": SystemFault,
}


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Settings of test_infrastructure. A step is a command (`init`), one resource in it (`init:orders`), or `write`."""

    resources: dict[str, Settings] = {}
    """What is to exist, and how it is set."""
    file: str = "test-infrastructure.json"
    fail: dict[str, FailureKind] = {}
    """Steps that fail, and how."""
    slow: dict[str, Duration] = {}
    """Steps that take their time."""


class TestInfrastructure(OutputProvider[Config], InfrastructureProviderBase[Config]):
    """Keeps its resources in a JSON file, and the rows that it is given in a file beside it."""

    __test__ = False  # for pytest, to which the name looks like a test's

    def start(self) -> None:
        missing = sorted(self.config.resources.keys() - self._world().real.keys())
        if missing:
            raise ConfigError(
                "test_infrastructure.missing",
                f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist",
                hint=f"Create what the task needs: dstream init {self.run.task}",
                config_path="resources",
            )
        self._rows = Path(self.config.file).with_suffix(".rows.jsonl").open("ab")

    def write(self, batch: Batch) -> None:
        self._fail_if_told("write")
        self._rows.write(b"".join(line + b"\n" for line in batch.lines))
        self._rows.flush()
        os.fsync(self._rows.fileno())

    def plan(self, context: InfrastructureContext) -> Plan:
        self._begin("plan", context)
        world = self._world()
        return Plan(list(_deletions(world, context) if context.options.destroy else self._changes(world, context)))

    def init(self, context: InfrastructureContext) -> Result:
        self._begin("init", context)
        world = self._world()
        steps = list(self._changes(world, context))
        for step in steps:
            self._carry_out("init", step, world, context)
        return Result(steps, {"file": self.config.file})

    def status(self, context: InfrastructureContext) -> Status:
        self._begin("status", context)
        world = self._world()
        found = [
            _drift(name, settings, world.real.get(name))
            for name, settings in world.recorded.items()
            if _is_wanted(name, context)
        ]
        if context.options.refresh_only:
            for resource in (each for each in found if each.op != "same"):
                world.recorded.pop(resource.name)
                if resource.name in world.real:
                    world.recorded[resource.name] = world.real[resource.name]
            world.save()
            found = [each if each.op == "same" else each._replace(op="refresh") for each in found]
        return Status(found)

    def destroy(self, context: InfrastructureContext) -> Result:
        self._begin("destroy", context)
        world = self._world()
        steps = list(_deletions(world, context))
        for step in steps:
            self._carry_out("destroy", step, world, context)
        return Result(steps)

    def _changes(self, world: _World, context: InfrastructureContext) -> Iterator[Resource]:
        wanted = self.config.resources
        for name, settings in wanted.items():
            if _is_wanted(name, context):
                yield _change(name, world.real.get(name), settings)
        yield from (each for each in _deletions(world, context) if each.name not in wanted)

    def _carry_out(self, command: str, step: Resource, world: _World, context: InfrastructureContext) -> None:
        if step.op == "same":
            return
        context.resource(step, "started")
        try:
            self._take_time(f"{command}:{step.name}", context)
            self._fail_if_told(f"{command}:{step.name}")
        except DStreamError as error:
            context.resource(step._replace(note=error.message), "failed")
            raise
        if step.op == "delete":
            world.recorded.pop(step.name, None)
            world.real.pop(step.name, None)
        else:
            world.real[step.name] = world.recorded[step.name] = self.config.resources[step.name]
        world.save()
        context.resource(step, "done")

    def _begin(self, command: str, context: InfrastructureContext) -> None:
        self._take_time(command, context)
        self._fail_if_told(command)

    def _take_time(self, step: str, context: InfrastructureContext) -> None:
        context.stop.wait(self.config.slow.get(step, 0.0))
        context.check()

    def _fail_if_told(self, step: str) -> None:
        if step in self.config.fail:
            error = _ERRORS[self.config.fail[step]]
            raise error("test_infrastructure.told_to_fail", f"told to fail at {step}", config_path=f"fail.{step}")

    def _world(self) -> _World:
        return _World(Path(self.config.file))


class _World:
    """The JSON file. Written whole or not at all, so that a kill between two steps leaves what was done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        document = json.loads(path.read_text()) if path.exists() else {}
        self.recorded: dict[str, Settings] = document.get("recorded", {})
        self.real: dict[str, Settings] = document.get("real", {})

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps({"recorded": self.recorded, "real": self.real}, indent=2) + "\n")
        temporary.replace(self._path)


def _is_wanted(name: str, context: InfrastructureContext) -> bool:
    return not context.options.target or name in context.options.target


def _deletions(world: _World, context: InfrastructureContext) -> Iterator[Resource]:
    for name, settings in world.recorded.items():
        if _is_wanted(name, context):
            yield Resource(name, _TYPE, "delete", _differences(settings, {}))


def _change(name: str, real: Settings | None, wanted: Settings) -> Resource:
    if real is None:
        return Resource(name, _TYPE, "create", _differences({}, wanted))
    differences = _differences(real, wanted)
    return Resource(name, _TYPE, "update" if differences else "same", differences)


def _drift(name: str, recorded: Settings, real: Settings | None) -> Resource:
    if real is None:
        return Resource(name, _TYPE, "delete", note="deleted outside dstream")
    differences = _differences(recorded, real)
    return Resource(name, _TYPE, "update" if differences else "same", differences)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[Difference]:
    return [
        Difference(path, old.get(path), new.get(path))
        for path in {**old, **new}  # in the order of the configuration
        if old.get(path) != new.get(path)
    ]


if __name__ == "__main__":
    StdioProviderHost(TestInfrastructure).run()
