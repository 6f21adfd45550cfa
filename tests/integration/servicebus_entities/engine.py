"""Programs with `dstream:servicebus:*` resources, run by the real engine against the sandbox's administration endpoint."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pulumi
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_servicebus.entities_resources import entities_resources
from pulumi import automation as auto

from dstream.infra.engine.attachments import served

# Programs that fork beside gRPC threads make it talk on stderr.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
ROOT = Path(__file__).parent.parent.parent.parent
ENGINE = Path.home() / ".dstream/pulumi/v3.259.0"


@dataclass(frozen=True)
class Entity:
    """One resource of a program."""

    type: str
    name: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def declare(self, others: Mapping[str, pulumi.CustomResource]) -> pulumi.CustomResource:
        """Settings written `"$other.setting"` are that resource's output."""
        settings = {name: _resolved(value, others) for name, value in self.settings.items()}
        return pulumi.CustomResource(
            f"dstream:servicebus:{self.type}",
            self.name,
            {"name": None, **settings},
            pulumi.ResourceOptions(**self.options),
        )


@dataclass
class Step:
    """What the engine said about one resource."""

    op: str
    diff: dict[str, str]


class Stack:
    """One stack of its own; `entities` are its program unless another is set. Both may be changed between operations."""

    def __init__(self, folder: Path, port: int, command: auto.PulumiCommand) -> None:
        self._folder, self._port = folder, port
        self.entities: list[Entity] = []
        self.program: Callable[[], None] = self._entities
        self.steps: dict[str, Step] = {}
        self._stack = auto.create_or_select_stack(
            "test",
            "entities",
            lambda: self.program(),
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(folder),
                pulumi_command=command,
                env_vars={
                    "PULUMI_HOME": str(folder / "home"),
                    "PULUMI_BACKEND_URL": f"file://{folder}",
                    "PULUMI_CONFIG_PASSPHRASE": "test",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "PULUMI_DEBUG_PROVIDERS": f"dstream:{port}",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                },
                project_settings=auto.ProjectSettings("entities", "python"),
            ),
        )

    def _entities(self) -> None:
        declared: dict[str, pulumi.CustomResource] = {}
        for entity in self.entities:
            declared[entity.name] = entity.declare(declared)

    def _run(self, operation: Callable[..., Any], **options: Any) -> dict[str, str]:
        self.steps = {}
        operation(on_event=self._heard, **options)
        return {name: step.op for name, step in self.steps.items() if step.op != "same"}

    def plan(self, **options: Any) -> dict[str, str]:
        """What would happen: the operation by resource, without what stays the same."""
        return self._run(self._stack.preview, **options)

    def up(self, **options: Any) -> dict[str, str]:
        return self._run(self._stack.up, **options)

    def refused(self, operation: Literal["plan", "up"]) -> str:
        """The engine's diagnostics of an operation that must fail.

        In a process of its own: where the engine gives up first, the SDK never ends the program's coroutines.
        """
        asked = {
            "folder": str(self._folder),
            "port": self._port,
            "operation": operation,
            "entities": [[each.type, each.name, each.settings] for each in self.entities],
        }
        command = [sys.executable, "-m", __name__]
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def drift(self) -> dict[str, str]:
        return self._run(self._stack.preview_refresh)

    def refresh(self) -> dict[str, str]:
        return self._run(self._stack.refresh)

    def destroy(self) -> dict[str, str]:
        return self._run(self._stack.destroy)

    def recorded(self, name: str) -> dict[str, Any]:
        resources = self._stack.export_stack().deployment["resources"]  # type: ignore[index]
        found: dict[str, Any] = next(each for each in resources if each["urn"].endswith(f"::{name}"))
        return found

    def state(self) -> str:
        return str(self._stack.export_stack().deployment)

    def _heard(self, event: auto.EngineEvent) -> None:
        """Before and after each step: of a refresh only the end says what came out."""
        heard = event.res_outputs_event or event.resource_pre_event
        if heard is None or heard.metadata.type.startswith("pulumi:"):
            return
        op = str(heard.metadata.op.value)
        if op in ("refresh", "create-replacement", "delete-replaced"):
            return
        diff = {path: str(each.diff_kind.value) for path, each in (heard.metadata.detailed_diff or {}).items()}
        self.steps[heard.metadata.urn.rpartition("::")[2]] = Step(op, diff)


@contextlib.contextmanager
def serving(administration: Callable[[], ServiceBusAdministrationClient]) -> Iterator[int]:
    """The provider under test on a port of its own."""
    with served({"dstream": entities_resources(administration)}, parallel=None) as ports:
        yield ports["dstream"]


def _refused(asked: dict[str, Any]) -> str:
    stack = Stack(Path(asked["folder"]), asked["port"], auto.PulumiCommand(str(ENGINE)))
    stack.entities = [Entity(*each) for each in asked["entities"]]
    try:
        stack.plan() if asked["operation"] == "plan" else stack.up()
    except auto.CommandError as error:
        return str(error)
    raise AssertionError("it was not refused")


def _resolved(value: Any, others: Mapping[str, pulumi.CustomResource]) -> Any:
    if not isinstance(value, str) or not value.startswith("$") or "." not in value:
        return value
    name, _, setting = value[1:].partition(".")
    return getattr(others[name], setting)


if __name__ == "__main__":
    sys.stdout.write(_refused(json.load(sys.stdin)))
    sys.stdout.flush()
    os._exit(0)
