"""One lifecycle command after the other against the provider of `queues.py`, each in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tests.integration.infra import queues
from tests.integration.infra.world import World

DEADLINE_S = 60.0


class Process:
    """The provider as a process of its own: forked from one that has imported everything, which halves its time."""

    def __init__(self, env: Mapping[str, str]) -> None:
        _preload()
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become_provider([pipes[0][0], pipes[1][1], pipes[2][1]], env)
        for theirs in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(theirs)
        self.stdin = os.fdopen(pipes[0][1], "wb")
        self.stdout = os.fdopen(pipes[1][0], "rb")
        self.stderr = os.fdopen(pipes[2][0], "rb")

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code; negative: the signal that killed it."""
        if self._code is None:
            deadline_s = time.monotonic() + DEADLINE_S
            while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                assert time.monotonic() < deadline_s, "the provider does not end"
                time.sleep(0.01)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def close(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


def _preload() -> None:
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for module in ("dstream.infra.commands", "tests.integration.infra.cloud", "tests.integration.infra.queues"):
        importlib.import_module(module)


def _become_provider(descriptors: list[int], env: Mapping[str, str]) -> NoReturn:
    """What `python -m tests.integration.infra.queues` comes to."""
    code = 1
    try:
        os.setsid()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 1024)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in enumerate(("r", "w", "w")))
        os.environ.update(env)
        queues.StdioProviderHost(queues.QueueOutput).run()
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except BaseException:  # noqa: BLE001 - the end of a forked process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@dataclass
class Answer:
    """What the provider wrote, taken apart."""

    lines: list[dict[str, Any]]
    stderr: str
    code: int

    @property
    def result(self) -> dict[str, Any]:
        assert self.lines, self.stderr
        assert "status" in self.lines[-1], (self.lines, self.stderr)
        return self.lines[-1]

    @property
    def error(self) -> dict[str, Any]:
        assert self.result["status"] == "Failed", self.result
        error: dict[str, Any] = self.result["error"]
        return error

    @property
    def ops(self) -> dict[str, str]:
        """What was, or would be, done to each resource."""
        assert self.result["status"] == "Success", self.result
        return {each["name"]: each["op"] for each in self.result["resources"]}

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.result["metadata"]["plan"]
        return document

    @property
    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = self.result["metadata"]["outputs"]
        return outputs

    @property
    def diagnostics(self) -> list[str]:
        return [each["message"] for each in self.lines if each.get("dstream") == "diagnostic"]

    @property
    def phases(self) -> list[tuple[str, str, str]]:
        return [(each["name"], each["op"], each["phase"]) for each in self.lines if each.get("dstream") == "resource"]

    def resource(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.result["resources"] if each["name"] == name)
        return found

    def diff(self, name: str) -> list[tuple[str, Any, Any]]:
        return [(each["path"], each.get("old"), each.get("new")) for each in self.resource(name)["diff"]]


@dataclass
class Stage:
    """A cloud and a project's folder of its own."""

    folder: Path
    task: str = "orders"
    env: Mapping[str, str] = field(default_factory=dict)
    backend_url: str | None = None
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cloud.mkdir(parents=True, exist_ok=True)

    @property
    def cloud(self) -> Path:
        return self.folder / "cloud"

    @property
    def world(self) -> World:
        return World(self.cloud)

    @property
    def real(self) -> dict[str, dict[str, Any]]:
        return {id_.rpartition("/")[2]: each for id_, each in self.world.read().items()}

    @property
    def infra(self) -> Path:
        return self.folder / ".dstream" / "infra"

    @property
    def state(self) -> Path:
        return self.infra / ".pulumi" / "stacks" / self.task / "dev.json"

    @property
    def recorded(self) -> list[str]:
        """Names of the queues in the record."""
        resources = json.loads(self.state.read_text())["checkpoint"]["latest"].get("resources", [])
        return sorted(each["urn"].rpartition("::")[2] for each in resources if each["type"].startswith("cloud:"))

    @property
    def locks(self) -> list[Path]:
        return list((self.infra / ".pulumi" / "locks").rglob("*.json"))

    def set_real(self, name: str, **properties: Any) -> None:
        """Change, make or (with nothing) delete a queue behind dstream's back."""
        with self.world.changed() as world:
            if properties:
                world.setdefault(f"/queues/{name}", {"name": name, "messages": 0}).update(properties)
            else:
                del world[f"/queues/{name}"]

    def faults(self, *rules: dict[str, Any]) -> None:
        (self.cloud / "faults.json").write_text(json.dumps(rules))

    def start(self, command: str, **options: Any) -> Process:
        process = Process({"DSTREAM_PROTOCOL": "1", **self.env})
        line = {
            "command": command,
            "config": {"cloud": str(self.cloud), "queues": self.queues, **self.more},
            "infrastructure": {
                "task": self.task,
                "stack": "dev",
                "work_dir": str(self.infra / self.task / "dev"),
                "backend_url": self.backend_url,
            },
            "options": options,
        }
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        return process

    def __call__(self, command: str, **options: Any) -> Answer:
        return ended(self.start(command, **options))


def ended(process: Process) -> Answer:
    try:
        out = process.stdout.read()  # stdin stays open: its end would mean `stop`
        stderr = process.stderr.read().decode()
        code = process.wait()
    finally:
        process.close()
    lines = [json.loads(line) for line in out.splitlines()]
    return Answer([each for each in lines if each.get("dstream") not in ("hello", "heartbeat", "log")], stderr, code)
