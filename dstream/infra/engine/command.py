"""The Pulumi CLI as a child that can be cancelled, and that does not outlive this process uncontrolled."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from dstream import launcher

if TYPE_CHECKING:
    from dstream.infra.engine.cli import Engine
    from dstream.sdk import Stop

_LOOK_S = 0.05
_EMPTY_IS_UNSET = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class EngineCommand(PulumiCommand):
    """Like the SDK's, apart from how the process is held.

    - It leads a process group, so that a terminal's Ctrl-C reaches this process only, which then passes on one SIGINT:
      the engine finishes the steps at hand, records them and gives its lock back.
    - What it writes goes to files: an engine whose reader was killed would die of SIGPIPE in the middle of a step.
    - On Linux it gets a signal when this process dies. SIGINT where the providers live on: it gives its lock back, and
      what was under way stays noted as pending. Where this process serves them, SIGKILL: the engine would take the
      broken connection for a failed creation and forget it, while what is pending is looked up by the next `init`.
    """

    def __init__(self, engine: Engine, stop: Stop, death_signal: signal.Signals = signal.SIGINT) -> None:
        # Not the SDK's __init__: it would start the CLI only to ask for the version that is known already.
        self.command = str(engine.path)
        self.version = VersionInfo.parse(engine.version)
        self._stop = stop
        self._death_signal = death_signal
        self.last = CommandResult("", "", 0)
        """How the last one ended: the SDK's errors have it as a text only."""

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
    ) -> CommandResult:
        """Raises the SDK's CommandError and those that derive from it."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = launcher.start(
                [self.command, "--non-interactive", *args],
                self._death_signal,
                cwd=cwd,
                env=_environment(additional_env, os.path.dirname(self.command)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            done = threading.Event()
            watcher = threading.Thread(target=self._pass_on_stop, args=(process, done), name="engine-stop")
            watcher.start()
            try:
                code = process.wait()
            finally:
                done.set()
                watcher.join()
            result = CommandResult(stdout=_text(out, on_output), stderr=_text(err, on_error), code=code)
        self.last = result
        if code != 0:
            raise create_command_error(result)
        return result

    def _pass_on_stop(self, process: subprocess.Popen[bytes], done: threading.Event) -> None:
        while not done.wait(_LOOK_S):
            if self._stop.is_set():
                process.send_signal(signal.SIGINT)
                return


def _environment(additional: Mapping[str, str], bin_folder: str) -> dict[str, str]:
    environment = {**os.environ, **additional, "PULUMI_AUTOMATION_API": "true"}
    for name in _EMPTY_IS_UNSET:  # the engine takes an empty passphrase for one
        if not additional.get(name):
            environment.pop(name, None)
    # plugins that lie beside the CLI come first, as in the SDK
    environment["PATH"] = os.pathsep.join([bin_folder, environment.get("PATH", "")])
    return environment


def _text(file: IO[bytes], on_line: Callable[[str], object] | None) -> str:
    file.seek(0)
    lines = [line.rstrip() for line in file.read().decode("utf-8", "replace").splitlines()]
    if on_line is not None:
        for line in lines:
            on_line(line)
    return "\n".join(lines)
