"""Runs `dstream` many times without the time for its imports: each run is a fork of this process, which imported it.

Reads one JSON object per line: argv, folder, env, and for each standard stream a path, or null for a closed one. Answers
each with the exit code. The fork opens its streams as Python does at startup (pylifecycle.c, `create_stdio`).
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import signal
import sys
from typing import Any

from dstream.cli.command_table import COMMANDS
from dstream.cli.main import main

DEADLINE_S = 120


def serve() -> int:
    for entry in COMMANDS.values():
        importlib.import_module(entry.target.partition(":")[0])
    for module in ("cli", "demo"):
        importlib.import_module(f"dstream_sandbox.{module}")
    gc.freeze()  # so that the forks share what has been imported
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            os._exit(run(json.loads(line)))  # without the slow end of an interpreter
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return 0


def run(request: dict[str, Any]) -> int:
    signal.alarm(DEADLINE_S)
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
    sys.stdin, sys.stdout, sys.stderr = (stream(each, request) for each in range(3))  # type: ignore[assignment]
    sys.argv = ["dstream", *request["argv"]]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        return int(ended.code or 0)
    except BaseException:  # noqa: BLE001  # as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    return 1


def stream(descriptor: int, request: dict[str, Any]) -> io.TextIOWrapper | None:
    if request["streams"][descriptor] is None:
        return None
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8")
    return open(descriptor, "w" if descriptor else "r", encoding=encoding, closefd=False)


if __name__ == "__main__":
    sys.exit(serve())
