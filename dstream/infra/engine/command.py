"""The Pulumi CLI as a child process that can be cancelled and does not outlive this process unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from dstream import launcher
from dstream.infra.engine.safekeeping import RecordKeeper

if TYPE_CHECKING:
    from dstream.infra.engine.cli import Engine
    from dstream.sdk import Stop

_LOOK_S = 0.02
_PREVIEW_GRACE_S = 1.0
"""How long a cancelled preview may take: it waits for reads, which may hang."""
_EMPTY_IS_UNSET = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


class EngineCommand(PulumiCommand):
    """Like the SDK's command, except for process handling.

    - It leads a process group, so a terminal's Ctrl-C reaches only this process, which forwards one SIGINT: the engine
      finishes its current steps, records them and releases its lock. A preview has nothing to record and holds no lock:
      it is killed if that takes too long.
    - Its output goes to files: with a pipe, the engine would die of SIGPIPE in the middle of a step if its reader were
      killed.
    - On Linux it is killed when this process dies, so that unfinished steps stay pending, which `init` resolves. The
      lock stays, too. On SIGINT, the engine would cancel its resource providers, and drop a creation as failed that the
      cloud completes (azure-native, provider.go, Cancel and Create); nobody would be left to record it as possible.
    - It is killed as soon as it fails to save its record completely, because its retries would destroy the backup.
    """

    def __init__(self, engine: Engine, stop: Stop, record: Path | None = None) -> None:
        """`record`: the file that the engine saves its record in, if it is local."""
        # Not the SDK's __init__: it would start the CLI to ask for the version, which is known.
        self.command = str(engine.path)
        self.version = VersionInfo.parse(engine.version)
        self._stop = stop
        self._record = record
        self.is_change = False
        """Whether the last run could change resources or the record."""
        self.could_not_save = False
        """Whether the last run damaged the record, which has been restored."""
        self.last = CommandResult("", "", 0)
        """Result of the last run; the SDK's errors contain it as text only."""

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], object] | None = None,
        on_error: Callable[[str], object] | None = None,
    ) -> CommandResult:
        """Run the CLI. Raises the SDK's CommandError and its subclasses."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = launcher.start(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env=_environment(additional_env, os.path.dirname(self.command)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            done = threading.Event()
            self.is_change = _is_change(args)
            keeper = RecordKeeper(self._record if self.is_change else None)
            watcher = threading.Thread(
                target=self._watch, args=(process, done, keeper, _is_preview(args)), name="engine-watch"
            )
            watcher.start()
            try:
                code = process.wait()
            finally:
                done.set()
                watcher.join()
            self.could_not_save = keeper.end()
            result = CommandResult(stdout=_text(out, on_output), stderr=_text(err, on_error), code=code)
        self.last = result
        if code != 0 or self.could_not_save:
            raise create_command_error(result)
        return result

    def _watch(
        self, process: subprocess.Popen[bytes], done: threading.Event, keeper: RecordKeeper, is_preview: bool
    ) -> None:
        is_told = False
        while not done.wait(_LOOK_S):
            if keeper.look():
                process.kill()
                return
            if self._stop.is_set() and not is_told:
                is_told = True
                process.send_signal(signal.SIGINT)
                if is_preview and not done.wait(_PREVIEW_GRACE_S):
                    process.kill()


def _is_preview(arguments: Sequence[str]) -> bool:
    return arguments[0] == "preview" or "--preview-only" in arguments


def _is_change(arguments: Sequence[str]) -> bool:
    is_work = arguments[0] in ("up", "refresh", "destroy") and not _is_preview(arguments)
    return is_work or arguments[0] == "import" or list(arguments[:2]) in (["stack", "import"], ["state", "move"])


def _environment(additional: Mapping[str, str], bin_folder: str) -> dict[str, str]:
    environment = {**os.environ, **additional, "PULUMI_AUTOMATION_API": "true"}
    for name in _EMPTY_IS_UNSET:  # the engine would use an empty passphrase
        if not additional.get(name):
            environment.pop(name, None)
    # as in the SDK, prefer plugins next to the CLI
    environment["PATH"] = os.pathsep.join([bin_folder, environment.get("PATH", "")])
    return environment


def _text(file: IO[bytes], on_line: Callable[[str], object] | None) -> str:
    file.seek(0)
    lines = [line.rstrip() for line in file.read().decode("utf-8", "replace").splitlines()]
    if on_line is not None:
        for line in lines:
            on_line(line)
    return "\n".join(lines)
