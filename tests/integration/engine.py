"""The real engine on one stack, through the Automation API, with the providers under test attached to it."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation as auto

from dstream.infra.engine.cli import find_engine
from dstream.infra.engine.quiet_stack import QuietStack
from tests.integration.key_ring import SECRETS_PROVIDER, key_ring

# Otherwise gRPC warns on stderr about processes that start while its threads run.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
_ROOT = Path(__file__).parent.parent.parent
_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Resource:
    """One resource of a program.

    `type`: a class of pulumi_azure_native, e.g. `servicebus.Queue`, or a full token, e.g. `dstream:servicebus:Queue`.
    A setting `"$other.attribute"` is an output of another resource.
    """

    type: str
    name: str
    settings: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def declare(self, declared: Mapping[str, Any]) -> Any:
        settings = {name: _resolved(value, declared) for name, value in self.settings.items()}
        options = pulumi.ResourceOptions(**self.options)
        if ":" in self.type:
            return pulumi.CustomResource(self.type, self.name, {"name": None, **settings}, options)
        return _azure_native(self.type)(self.name, **settings, opts=options)


@dataclass
class Step:
    """What the engine reported about one resource."""

    op: str
    diff: dict[str, str]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Stack:
    """One stack in its own folder. `attached` maps provider names to ports; `config` is the stack's configuration.

    The program declares `resources`, unless `program` is set. Both can change between operations. Operations return
    the step of each changed resource; `steps` has the details of the last operation.
    """

    def __init__(self, folder: Path, attached: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
        self.folder, self._attached = folder, dict(attached)
        self.resources: Sequence[Resource] = ()
        self.keys_of: Mapping[str, str] | None = None
        """Arguments of list_namespace_keys, whose result becomes the outputs."""
        self.program: Callable[[], None] = self._declare
        self.steps: dict[str, Step] = {}
        self.environment = {
            **_environment(folder),
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in attached.items()),
        }
        self._record = folder / "state" / ".pulumi" / "stacks" / "orders" / "dev.json"
        if not self._record.exists():
            shutil.copytree(_empty_stack(), folder, dirs_exist_ok=True)
        workspace = _workspace(folder, self.environment, lambda: self.program())
        self.stack = QuietStack("dev", workspace)
        if config:
            self.stack.set_all_config({name: auto.ConfigValue(value) for name, value in config.items()})

    def plan(self, **options: Any) -> dict[str, str]:
        return self._run(self.stack.preview, **options)

    def up(self, **options: Any) -> dict[str, str]:
        return self._run(self.stack.up, **options)

    def drift(self) -> dict[str, str]:
        return self._run(self.stack.preview_refresh)

    def refresh(self) -> dict[str, str]:
        return self._run(self.stack.refresh)

    def destroy(self) -> dict[str, str]:
        return self._run(self.stack.destroy)

    def running(self, program: Callable[[], None]) -> auto.Stack:
        """Set the program, and return the stack."""
        self.program = program
        return self.stack

    def apply(self, program: Callable[[], None], **options: Any) -> dict[str, int]:
        """Update the stack to this program. Returns the number of resources per operation, including the stack."""
        changes: dict[str, int] = {}

        def heard(event: auto.EngineEvent) -> None:
            if event.summary_event:
                changes.update({str(op): count for op, count in event.summary_event.resource_changes.items()})

        self.running(program).up(on_event=heard, **options)
        return changes

    def refused(self, operation: str = "up") -> str:
        """The engine's diagnostics of an operation that must fail."""
        done = self.start(operation)
        out, err = done.communicate(timeout=_DEADLINE_S)
        assert done.returncode == 1, out + err
        return out

    def start(self, operation: str = "up") -> subprocess.Popen[str]:
        """Start the operation on `resources` in its own process and process group, with the engine as its child.

        Operations that fail need this, because the SDK never ends the coroutines of their programs.
        """
        asked = {
            "folder": str(self.folder),
            "attached": self._attached,
            "operation": operation,
            "resources": [asdict(each) for each in self.resources],
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.engine", json.dumps(asked)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            process_group=0,
        )

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self.stack.workspace.stack_outputs("dev").items()}

    @property
    def deployment(self) -> dict[str, Any]:
        """The record, as `pulumi stack export` shows it."""
        deployment: dict[str, Any] = json.loads(self._record.read_text())["checkpoint"]["latest"]
        return deployment

    def recorded(self, name: str) -> dict[str, Any]:
        """The record of one resource."""
        resources = self.deployment["resources"]
        found: dict[str, Any] = next(each for each in resources if each["urn"].endswith(f"::{name}"))
        return found

    def _declare(self) -> None:
        declared: dict[str, Any] = {}
        for each in self.resources:
            declared[each.name] = each.declare(declared)
        if self.keys_of is not None:
            arguments = {name: _resolved(value, declared) for name, value in self.keys_of.items()}
            keys = _azure_native("servicebus.list_namespace_keys_output")(**arguments)
            pulumi.export("connection_string", pulumi.Output.secret(keys.primary_connection_string))
        for name, each in declared.items():
            if hasattr(each, "service_bus_endpoint"):
                pulumi.export(f"{name}_endpoint", each.service_bus_endpoint)

    def _run(self, operation: Callable[..., Any], **options: Any) -> dict[str, str]:
        self.steps = {}
        operation(on_event=self._heard, **options)
        return {name: step.op for name, step in self.steps.items() if step.op != "same"}

    def _heard(self, event: auto.EngineEvent) -> None:
        """Record the events before and after each step. Skip the start of a refresh and the parts of a replacement."""
        heard = event.resource_pre_event or event.res_outputs_event
        if heard is None or heard.metadata.type.startswith("pulumi:"):
            return
        op = str(heard.metadata.op.value)
        if op in ("refresh", "create-replacement", "delete-replaced"):
            return
        name = heard.metadata.urn.rpartition("::")[2]
        diff = {path: str(each.diff_kind.value) for path, each in (heard.metadata.detailed_diff or {}).items()}
        if not diff and name in self.steps:
            diff = self.steps[name].diff
        new = heard.metadata.new
        self.steps[name] = Step(op, diff, new.inputs if new else {}, new.outputs if new else {})


def engine_folder() -> Path:
    """The folder of the engine that the tests use; its CLI is `bin/pulumi`."""
    return find_engine(os.environ).path.parent.parent


@cache
def _empty_stack() -> Path:
    """A folder with the files of a new stack, to copy: making one starts the CLI."""
    kept = tempfile.TemporaryDirectory(prefix="dstream-stack-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    (folder / "state").mkdir()
    _workspace(folder, _environment(folder), lambda: None).create_stack("dev")
    shutil.rmtree(folder / "home")
    return folder


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        **key_ring(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _workspace(folder: Path, environment: dict[str, str], program: Callable[[], None]) -> auto.LocalWorkspace:
    return auto.LocalWorkspace(
        work_dir=str(folder),
        pulumi_command=_command(),
        env_vars=environment,
        program=program,
        project_settings=auto.ProjectSettings("orders", "python", main=str(_ROOT)),
        secrets_provider=SECRETS_PROVIDER,
    )


@cache
def _command() -> auto.PulumiCommand:
    return auto.PulumiCommand(root=str(engine_folder()))


def _azure_native(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name)


def _resolved(value: Any, declared: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$") and "." in value:
        name, _, attribute = value[1:].partition(".")
        return getattr(declared[name], attribute)
    if isinstance(value, dict):
        return {name: _resolved(each, declared) for name, each in value.items()}
    return value


def main() -> int:
    asked = json.loads(sys.argv[1])
    stack = Stack(Path(asked["folder"]), asked["attached"])
    stack.resources = [Resource(**each) for each in asked["resources"]]
    try:
        getattr(stack, asked["operation"])()
    except auto.CommandError as error:
        sys.stdout.write(str(error))
        sys.stdout.flush()
        os._exit(1)  # avoids warnings about coroutines that the SDK left running
    return 0


if __name__ == "__main__":
    sys.exit(main())
