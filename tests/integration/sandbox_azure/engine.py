"""Programs on pulumi_azure_native, run by the real engine through the Automation API against the sandbox."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation as auto

# Programs that fork beside gRPC threads make it talk on stderr.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
_ROOT = Path(__file__).parent.parent.parent.parent
_ENGINE = Path.home() / ".dstream/pulumi/v3.259.0"


@dataclass(frozen=True)
class Resource:
    """`type`: such as `servicebus.Queue`. Settings written `"$other.attribute"` are another resource's outputs."""

    type: str
    name: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def declare(self, declared: Mapping[str, Any]) -> Any:
        settings = {name: _resolved(value, declared) for name, value in self.settings.items()}
        return _class(self.type)(self.name, **settings, opts=pulumi.ResourceOptions(**self.options))


@dataclass
class Step:
    op: str
    diff: dict[str, str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Stack:
    """One stack of its own; `resources` is the program, and may be changed between two operations."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self._port = folder, port
        self.resources: Sequence[Resource] = ()
        self.keys_of: Mapping[str, str] | None = None
        """Arguments of list_namespace_keys, whose answer becomes the outputs."""
        self.steps: dict[str, Step] = {}
        folder.mkdir(exist_ok=True)
        self.stack = auto.create_or_select_stack(
            "test",
            "azure",
            self._program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(folder),
                pulumi_command=_command(),
                env_vars={
                    "PULUMI_HOME": str(folder / "home"),
                    "PULUMI_BACKEND_URL": f"file://{folder}",
                    "PULUMI_CONFIG_PASSPHRASE": "test",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
                    "PULUMI_DEBUG_PROVIDERS": f"azure-native:{port}",
                    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                },
                project_settings=auto.ProjectSettings("azure", "python"),
            ),
        )

    def plan(self, **options: Any) -> dict[str, str]:
        """What would happen: the operation by resource, without what stays the same."""
        return self._run(self.stack.preview, **options)

    def up(self, **options: Any) -> dict[str, str]:
        return self._run(self.stack.up, **options)

    def drift(self) -> dict[str, str]:
        return self._run(self.stack.preview_refresh)

    def refresh(self) -> dict[str, str]:
        return self._run(self.stack.refresh)

    def destroy(self) -> dict[str, str]:
        return self._run(self.stack.destroy)

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self.stack.outputs().items()}

    def refused(self, operation: str = "up") -> str:
        """The engine's diagnostics of an operation that must fail, in a process of its own: after a failure the SDK
        leaves the program's coroutines unended."""
        done = self.start(operation)
        out, err = done.communicate(timeout=60)
        assert done.returncode == 1, out + err
        return out

    def start(self, operation: str = "up") -> subprocess.Popen[str]:
        """The operation in a process (and process group) of its own, with the engine as its child."""
        asked = {
            "folder": str(self.folder),
            "port": self._port,
            "operation": operation,
            "resources": [asdict(each) for each in self.resources],
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.sandbox_azure.engine", json.dumps(asked)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            process_group=0,
        )

    def _program(self) -> None:
        declared: dict[str, Any] = {}
        for each in self.resources:
            declared[each.name] = each.declare(declared)
        if self.keys_of is not None:
            arguments = {name: _resolved(value, declared) for name, value in self.keys_of.items()}
            keys = _class("servicebus.list_namespace_keys_output")(**arguments)
            pulumi.export("connection_string", pulumi.Output.secret(keys.primary_connection_string))
        for name, each in declared.items():
            if hasattr(each, "service_bus_endpoint"):
                pulumi.export(f"{name}_endpoint", each.service_bus_endpoint)

    def _run(self, operation: Callable[..., Any], **options: Any) -> dict[str, str]:
        self.steps = {}
        operation(on_event=self._heard, **options)
        return {name: step.op for name, step in self.steps.items() if step.op != "same"}

    def _heard(self, event: Any) -> None:
        told = event.resource_pre_event or event.res_outputs_event
        if told is None or not told.metadata.type.startswith("azure-native:"):
            return
        metadata = told.metadata
        if metadata.op in ("create-replacement", "delete-replaced"):  # parts of a `replace`
            return
        diff = {path: each.diff_kind.value for path, each in (metadata.detailed_diff or {}).items()}
        name = metadata.urn.rpartition("::")[2]
        before = self.steps.get(name)
        if metadata.op == "refresh" and before:
            return
        new = metadata.new
        self.steps[name] = Step(
            metadata.op, diff or (before.diff if before else {}), new.inputs if new else {}, new.outputs if new else {}
        )


@cache
def _command() -> auto.PulumiCommand:
    return auto.PulumiCommand(root=str(_ENGINE))


def _class(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name)


def _resolved(value: Any, declared: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$") and value != "$Default":
        name, _, attribute = value[1:].partition(".")
        return getattr(declared[name], attribute)
    if isinstance(value, dict):
        return {name: _resolved(each, declared) for name, each in value.items()}
    return value


def main() -> int:
    asked = json.loads(sys.argv[1])
    stack = Stack(Path(asked["folder"]), asked["port"])
    stack.resources = [Resource(**each) for each in asked["resources"]]
    try:
        getattr(stack.stack, {"plan": "preview"}.get(asked["operation"], asked["operation"]))()
    except auto.CommandError as error:
        sys.stdout.write(str(error))
        sys.stdout.flush()
        os._exit(1)  # what the SDK has left unended would be complained of
    return 0


if __name__ == "__main__":
    sys.exit(main())
