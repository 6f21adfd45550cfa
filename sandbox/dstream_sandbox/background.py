"""Runs the sandbox in the background: starts it in its own session, and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dstream_sandbox.errors import SandboxError
from dstream_sandbox.folder import Folder

_INTERVAL_S = 0.05
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 25.0


def detach(options: list[str], folder: Folder) -> None:
    """Start `dstream sandbox up OPTIONS` in its own session and return when it is ready. Raises SandboxError."""
    folder.make()
    log = folder.log("supervisor")
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dstream_sandbox", "up", f"--data={folder.path}", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise SandboxError(_words_since(log, begin) or f"the sandbox did not start; see {log}")
        running = folder.running()
        return running is not None and running.supervisor == process.pid

    try:
        _wait_until(ready, _START_TIMEOUT_S, f"the sandbox did not start; see {log}")
    except BaseException:
        process.terminate()
        raise


def stop_running(folder: Folder) -> bool:
    """Stop the supervisor, and wait until its servers have exited and another one can start. Return False if none is
    running. Raises SandboxError."""
    running = folder.running()
    if running is None:
        return False
    os.kill(running.supervisor, signal.SIGTERM)
    _wait_until(
        lambda: not folder.is_locked("supervisor") and not folder.is_locked("servers"),
        _END_TIMEOUT_S,
        f"the sandbox did not stop; its supervisor has pid {running.supervisor}",
    )
    return True


def _wait_until(condition: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SandboxError(otherwise)
        time.sleep(_INTERVAL_S)


def _words_since(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").strip().removeprefix("Error: ")
