"""The real engine over one program, with what a test looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulumi import automation as auto

CLI = Path.home() / ".dstream/pulumi/v3.259.0"


class Engine:
    """One stack in its own folder, and a cloud on `port` for each of `packages`."""

    def __init__(self, folder: Path, attached: dict[str, int], config: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._config = config
        (folder / "state").mkdir(parents=True)
        self.environment = {
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in attached.items()),
        }
        self._stack: auto.Stack | None = None
        self._cli = auto.PulumiCommand(root=str(CLI))

    def stack(self, program: Callable[[], None]) -> auto.Stack:
        """The stack, with this program from now on."""
        if self._stack is None:
            options = auto.LocalWorkspaceOptions(
                work_dir=str(self._folder), env_vars=self.environment, pulumi_command=self._cli
            )
            self._stack = auto.create_stack("dev", project_name="orders", program=program, opts=options)
            if self._config:
                self._stack.set_all_config({name: auto.ConfigValue(value) for name, value in self._config.items()})
        self._stack.workspace.program = program
        return self._stack

    def up(self, program: Callable[[], None], **options: Any) -> dict[str, int]:
        """How many resources by operation, without the stack itself."""
        changes = self.stack(program).up(**options).summary.resource_changes or {}
        return {str(op): count for op, count in changes.items()}
