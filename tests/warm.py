"""Runs `dstream` without the time for its imports, 0.15 s: each command is a fork of a process that has imported them.

What imports cost is tested with real processes, and so is everything that a test does to a command while it runs.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_idle: list[WarmDStream] = []


class WarmDStream:
    """A process that carries out one command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        env: Mapping[str, str],
        streams: Sequence[str | None],
        timeout_s: float,
    ) -> int:
        """Return the exit code, or the negative number of the signal that killed it. `streams`: the paths of stdin,
        stdout and stderr; None for a closed one.
        """
        request = {
            "arguments": arguments,
            "folder": str(folder),
            "env": dict(env),
            "streams": streams,
            "timeout_s": timeout_s,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()


def run_dstream(
    arguments: Sequence[str | Path], folder: Path, env: Mapping[str, str], timeout_s: float, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command as `subprocess.run` does. SIGALRM kills it after `timeout_s`."""
    warm = _idle.pop() if _idle else _started()
    command = [str(each) for each in arguments]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        given.write(stdin.encode())
        given.flush()
        paths = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (given, stdout, stderr)]
        code = warm.run(command, folder, env, paths if stdin else [os.devnull, *paths[1:]], timeout_s)
        for file in (stdout, stderr):
            file.seek(0)
        out, err = (file.read().decode() for file in (stdout, stderr))
    _idle.append(warm)
    return subprocess.CompletedProcess(["dstream", *command], code, out, err)


def _started() -> WarmDStream:
    warm = WarmDStream()
    atexit.register(warm.stop)
    return warm


def _serve() -> int:
    from dstream.cli.command_table import COMMANDS

    for entry in COMMANDS.values():
        importlib.import_module(entry.target.partition(":")[0])
    for module in (
        "dstream.telemetry.otlp.export",
        "dstream_sandbox.cli",
        "dstream_sandbox.demo",
        "pyodbc",
        "azure.servicebus.management",
    ):
        importlib.import_module(module)
    gc.freeze()  # so that the forks share what has been imported
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            os._exit(_carry_out(json.loads(line)))  # without the slow end of an interpreter
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return 0


def _carry_out(request: dict[str, Any]) -> int:
    """Open the streams as Python does at startup (pylifecycle.c, `create_stdio`), and run the command."""
    from dstream.cli.main import main

    signal.alarm(int(request["timeout_s"]))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    for descriptor, path in enumerate(request["streams"]):
        if path is None:
            os.close(descriptor)
        else:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY)
            os.dup2(opened, descriptor)
            os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (_stream(each, request) for each in range(3))  # type: ignore[assignment]
    sys.argv = ["dstream", *request["arguments"]]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        return int(ended.code or 0)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    return 1


def _stream(descriptor: int, request: dict[str, Any]) -> io.TextIOWrapper | None:
    if request["streams"][descriptor] is None:
        return None
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8")
    return open(descriptor, "w" if descriptor else "r", encoding=encoding, closefd=False)


if __name__ == "__main__":
    sys.exit(_serve())
