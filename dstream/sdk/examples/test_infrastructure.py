"""test_infrastructure: an output with infrastructure. Use it with `provider = "test_infrastructure"`.

Its infrastructure is a JSON file: `real` is what exists, `recorded` is what this provider created. Edit `real` to
simulate drift. To see how DStream reacts, configure steps to fail or to take time, and resources to hold data.
One `init` or `destroy` runs at a time: the lock is the file `<file>.lock`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dstream.sdk import (
    Batch,
    Difference,
    Duration,
    Figure,
    InfrastructureContext,
    InfrastructureProviderBase,
    OutputProvider,
    Plan,
    Resource,
    Result,
    Status,
    StdioProviderHost,
    run_only,
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
    """The desired resources and their settings."""
    fixed: tuple[str, ...] = ("sessions",)
    """Settings that cannot be changed in place: a change replaces the resource."""
    holds: dict[str, int] = {}
    """The number of messages in a resource, once it exists."""
    capacity: Annotated[int, run_only()] = 0
    """The maximum number of resources, for `plan` to report; 0: unlimited."""
    file: str = "test-infrastructure.json"
    fail: dict[str, FailureKind] = {}
    """Steps that fail, and with what kind of error."""
    slow: dict[str, Duration] = {}
    """Steps that take time, and how much."""


class TestInfrastructure(OutputProvider[Config], InfrastructureProviderBase[Config]):
    """Keeps its resources in a JSON file, and the rows it receives in a file next to it."""

    __test__ = False  # for pytest, which takes the class for a test because of its name

    def start(self) -> None:
        missing = sorted(self.config.resources.keys() - self._world().real.keys())
        if missing:
            raise ConfigError(
                "test_infrastructure.missing",
                f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist",
                hint=f"Create what the task needs: `dstream init {self.run.task}`",
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
        steps = self._steps("destroy" if context.options.destroy else "init", world, context)
        return Plan(steps, self._capacity(), self._document(steps, world))

    def init(self, context: InfrastructureContext) -> Result:
        return self._change("init", context)

    def destroy(self, context: InfrastructureContext) -> Result:
        return self._change("destroy", context)

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
        figures = [
            Figure("messages", name, f"{count:,} active", {"active": count})
            for name, count in self.config.holds.items()
            if name in world.real
        ]
        return Status(found, {"file": self.config.file} if world.recorded else {}, figures=figures)

    def _change(self, command: Literal["init", "destroy"], context: InfrastructureContext) -> Result:
        self._begin(command, context)
        with _locked(Path(self.config.file).with_suffix(".lock"), context):
            world = self._world()
            steps = self._steps(command, world, context)
            _refuse_what_was_not_shown(self._document(steps, world), context)
            _refuse_data_loss(steps, context)
            for step in steps:
                self._carry_out(command, step, world, context)
        return Result(steps, {"file": self.config.file} if command == "init" else {})

    def _steps(self, command: str, world: _World, context: InfrastructureContext) -> list[Resource]:
        wanted = self.config.resources if command == "init" else {}
        known = world.real if context.options.refresh else world.recorded
        steps = [
            self._step(name, world, known.get(name), settings, context)
            for name, settings in wanted.items()
            if _is_wanted(name, context)
        ]
        gone = [name for name in world.recorded if name not in wanted and _is_wanted(name, context)]
        return steps + [
            Resource(
                name,
                _TYPE,
                "delete",
                _differences(world.recorded[name], {}),
                holds=self._held(name, world),
                held="messages",
            )
            for name in gone
        ]

    def _step(
        self, name: str, world: _World, known: Settings | None, wanted: Settings, context: InfrastructureContext
    ) -> Resource:
        differences = _differences(known or {}, wanted)
        if known is None:
            return Resource(name, _TYPE, "create", differences)
        if name not in world.recorded:
            if context.options.import_:
                return Resource(name, _TYPE, "import", differences)
            return Resource(name, _TYPE, "create", _differences({}, wanted), "exists already")
        if any(each.path in self.config.fixed for each in differences):
            return Resource(name, _TYPE, "replace", differences, holds=self._held(name, world), held="messages")
        return Resource(name, _TYPE, "update" if differences else "same", differences)

    def _held(self, name: str, world: _World) -> int:
        return self.config.holds.get(name, 0) if name in world.real else 0

    def _capacity(self) -> str:
        if not self.config.capacity:
            return ""
        count = len(self.config.resources)
        return f"Capacity: {self.config.file} allows {self.config.capacity}; this task needs {count}."

    def _document(self, steps: Sequence[Resource], world: _World) -> Mapping[str, Any]:
        """Digests, since a setting may be a secret."""
        return {
            "steps": {
                each.name: {"op": each.op, "settings": {one.path: _digest(one) for one in each.diff}}
                for each in steps
                if each.op != "same"
            },
            "config": _digest(self.config.resources),
            "recorded": _digest(world.recorded),
        }

    def _carry_out(self, command: str, step: Resource, world: _World, context: InfrastructureContext) -> None:
        if step.op == "same":
            return
        context.resource(step, "started")
        try:
            self._take_time(f"{command}:{step.name}", context)
            self._fail_if_told(f"{command}:{step.name}")
            if step.op == "create" and step.name in world.real:
                raise ConfigError(
                    "test_infrastructure.exists",
                    f"{step.name} already exists and is not in this task's record",
                    hint=f"Import it: `dstream init {context.infrastructure.task} --import`",
                    config_path=f"resources.{step.name}",
                )
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
            raise error("test_infrastructure.told_to_fail", f"configured to fail at {step}", config_path=f"fail.{step}")

    def _world(self) -> _World:
        return _World(Path(self.config.file))


class _World:
    """The JSON file. Written atomically, so that a kill between two steps loses no completed step."""

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


@contextmanager
def _locked(path: Path, context: InfrastructureContext) -> Iterator[None]:
    """Hold the lock; wait for it up to `lock_timeout_s`. Raises LockedError `test_infrastructure.locked`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline_s = time.monotonic() + context.options.lock_timeout_s
    with path.open("a+") as file:
        while not _flock(file.fileno()):
            holder = path.read_text().strip() or "another process"
            if time.monotonic() >= deadline_s:
                raise LockedError(
                    "test_infrastructure.locked",
                    f"{path.name} is held by {holder}",
                    hint="Wait for it with --lock-timeout 5m.",
                )
            context.stop.wait(0.05)
            context.check()
        file.truncate(0)
        file.write(f"pid {os.getpid()}\n")
        file.flush()
        yield


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_what_was_not_shown(now: Mapping[str, Any], context: InfrastructureContext) -> None:
    """Raise RefusedError `test_infrastructure.stale` if the changes differ from the plan."""
    shown = context.options.expect
    if shown is None:
        return
    moved = [_moved(name, shown["steps"].get(name), step) for name, step in now["steps"].items()]
    if context.options.exact:
        moved += [
            f"{name}: planned {shown['steps'][name]['op']} is no longer needed"
            for name in shown["steps"].keys() - now["steps"]
        ]
        moved += [f"the {part} changed" for part in ("config", "recorded") if shown[part] != now[part]]
    moved = [each for each in moved if each]
    if moved:
        raise RefusedError(
            "test_infrastructure.stale",
            f"the changes differ from the plan: {'; '.join(moved)}",
            hint="Create a new plan and review it.",
        )


def _moved(name: str, shown: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    if shown is None:
        return f"{name}: planned no change, now {now['op']}"
    if shown["op"] != now["op"]:
        return f"{name}: planned {shown['op']}, now {now['op']}"
    old, new = shown["settings"], now["settings"]
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    return f"{name}: {', '.join(paths)} changed" if paths else ""


def _refuse_data_loss(steps: Sequence[Resource], context: InfrastructureContext) -> None:
    losing = [each for each in steps if each.op in ("replace", "delete") and each.holds]
    if losing and not context.options.allow_data_loss:
        raise RefusedError(
            "test_infrastructure.data_loss",
            f"messages would be lost: {', '.join(f'{each.name} holds {each.holds:,}' for each in losing)}",
            hint="Receive them first, or allow the loss with --allow-data-loss.",
        )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _drift(name: str, recorded: Settings, real: Settings | None) -> Resource:
    if real is None:
        return Resource(name, _TYPE, "delete", note="deleted outside DStream")
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
