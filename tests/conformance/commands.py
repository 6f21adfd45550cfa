"""Runs `dstream` as users and pipelines do: as a process in its own folder."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.warm import run_dstream

COMMAND = (sys.executable, "-m", "dstream")
DEADLINE_S = 60.0
_AT_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal
os.execv(sys.argv[1], sys.argv[1:])
"""
QUEUES: dict[str, Any] = {"orders": {"max_delivery_count": 10}, "returns": {"max_delivery_count": 3}}


class Place:
    """A folder with a dstream.hcl in which to run commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def task(
        self, name: str = "t", *, input_: str = "counter", output: str = "test_infrastructure", **config: Any
    ) -> None:
        """Add a task; `config` is the output's config."""
        settings = "\n".join(f"      {key} = {json.dumps(value)}" for key, value in config.items())
        with (self.folder / "dstream.hcl").open("a") as file:
            file.write(
                f'task "{name}" {{\n'
                f'  input {{\n    provider = "{input_}"\n{_COUNTER if input_ == "counter" else ""}  }}\n'
                f'  output {{\n    provider = "{output}"\n    config {{\n{settings}\n    }}\n  }}\n}}\n'
            )

    def queues(self, **more: Any) -> None:
        """Write a dstream.hcl with the task `t`, which has two resources."""
        (self.folder / "dstream.hcl").unlink(missing_ok=True)
        self.task(resources=QUEUES, **more)

    @property
    def world(self) -> dict[str, Any]:
        path = self.folder / "test-infrastructure.json"
        return json.loads(path.read_text()) if path.exists() else {"real": {}, "recorded": {}}

    def set_real(self, real: dict[str, Any]) -> None:
        """Change the actual resources without `dstream`."""
        (self.folder / "test-infrastructure.json").write_text(json.dumps({**self.world, "real": real}))

    def dstream(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_dstream(arguments, self.folder, os.environ, DEADLINE_S)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def at_a_terminal(self, answer: bytes, *arguments: str) -> tuple[int, str]:
        """Run the command in a terminal, answer its prompt with `answer`, and return the exit code and all output."""
        leader, follower = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", _AT_ITS_TERMINAL, *COMMAND, *arguments],
            cwd=self.folder,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        shown, deadline = b"", time.monotonic() + DEADLINE_S
        is_asked = False
        while (chunk := _read(leader)) != b"":
            assert time.monotonic() < deadline, shown
            shown += chunk or b""
            # CPython misses a Ctrl-C that arrives just before input() starts reading: press it again, as a user would.
            if (chunk is None and is_asked) or (not is_asked and b"[y/N]" in shown):
                is_asked = True
                os.write(leader, answer)
        os.close(leader)
        return process.wait(DEADLINE_S), shown.decode()


_PATIENCE_S = 1.0
_COUNTER = '    config {\n      interval = "1ms"\n      count = 5\n    }\n'


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.02)
    return value


def ended(process: subprocess.Popen[str], *signals: signal.Signals) -> tuple[int, str, str]:
    """Send the signals and return the exit code, stdout and stderr."""
    for number in signals:
        process.send_signal(number)
    stdout, stderr = process.communicate(timeout=DEADLINE_S)
    return process.returncode, stdout, stderr


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The first line that a command wrote to stderr."""
    return lines_of(done.stderr)[0]


def lines_of(text: str) -> Sequence[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read(descriptor: int) -> bytes | None:
    """None if nothing arrives within `_PATIENCE_S`."""
    if not select.select([descriptor], [], [], _PATIENCE_S)[0]:
        return None
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux: EIO once the other side is closed
        return b""
