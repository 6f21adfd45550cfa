"""Runs `dstream sandbox ...` as a user does."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from dstream_sandbox.folder import Folder, Running

from tests.running import wait_until
from tests.warm import run_dstream

_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Commands:
    """The commands, on one data folder."""

    data: Path

    def __call__(
        self, *arguments: str | Path, stdin: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command. Fails the test unless it exits with `code`; None allows any."""
        env = {**os.environ, "DSTREAM_SANDBOX_DATA": str(self.data)}
        done = run_dstream(["sandbox", *arguments], Path.cwd(), env, _TIMEOUT_S, stdin)
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def error(self, *arguments: str | Path, code: int = 1, stdin: str = "") -> str:
        """The error message of a command that must fail."""
        lines = self(*arguments, code=code, stdin=stdin).stderr.splitlines()
        assert lines[-1].startswith("Error: "), lines
        return lines[-1].removeprefix("Error: ")

    def rows(self, *arguments: str | Path, stdin: str = "") -> list[Any]:
        """The JSON value on each line of stdout."""
        return [json.loads(line) for line in self(*arguments, stdin=stdin).stdout.splitlines()]

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self("status", "--json", code=None).stdout)
        return status

    @property
    def running(self) -> Running | None:
        """What `status` shows, without starting a process each time."""
        return Folder(self.data).running()

    def wait_until_running(self, condition: Callable[[Running], bool], what: str) -> Running:
        def met() -> Running | None:
            running = self.running
            return running if running and condition(running) else None

        found: Running = wait_until(met, what)
        return found


def ended(pid: int) -> bool:
    """Whether the process has exited, even if its parent has not reaped it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
