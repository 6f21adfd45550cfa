"""Runs lifecycle commands against the provider in `queues.py`, each in its own process."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NoReturn

from tests.integration.infra import queues
from tests.integration.infra.world import World
from tests.integration.key_ring import key_ring

DEADLINE_S = 60.0


class Process:
    """The provider as a separate process, forked from one that has imported everything, which halves its time.

    It is not forked from the test process: once gRPC has served there, as it does for other tests, it hangs in forks.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        server = _fork_server()
        (stdin, self._stdin), (self._stdout, stdout), (self._stderr, stderr) = (server.Pipe(False) for _ in range(3))
        theirs = (stdin, stdout, stderr)
        self._process = server.Process(target=_become_provider, args=(theirs, {**os.environ, **env}), daemon=True)
        self._process.start()
        for each in theirs:
            each.close()
        self.stdin = os.fdopen(self._stdin.fileno(), "wb", closefd=False)
        self.stdout = os.fdopen(self._stdout.fileno(), "rb", closefd=False)
        self.stderr = os.fdopen(self._stderr.fileno(), "rb", closefd=False)

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code, or the negative number of the signal that killed it."""
        self._process.join(DEADLINE_S)
        code = self._process.exitcode
        assert code is not None, "the provider did not exit"
        return code

    def close(self) -> None:
        self._process.kill()
        self._process.join(DEADLINE_S)
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()
        for connection in (self._stdin, self._stdout, self._stderr):
            connection.close()


def _fork_server() -> ForkServerContext:
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dstream.infra.commands", "tests.integration.infra.cloud", "tests.integration.infra.queues"]
    )
    return context


def _become_provider(streams: Sequence[Connection], env: Mapping[str, str]) -> NoReturn:
    """Do what `python -m tests.integration.infra.queues` does."""
    code = 1
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream.fileno(), number)
        os.closerange(3, 1024)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in enumerate(("r", "w", "w")))
        os.environ.clear()  # the fork server has that of the test that started it
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
    """The provider's output, parsed."""

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
        """The planned or completed operation per resource."""
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
    """A project folder and its own cloud."""

    folder: Path
    task: str = "orders"
    stack: str = "dev"
    env: Mapping[str, str] = field(default_factory=dict)
    backend_url: str | None = None
    secrets_provider: str | None = None
    """None: a passphrase, which costs more CPU time."""
    program: Path | None = None
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
        """Change, create or (without properties) delete a queue outside DStream."""
        with self.world.changed() as world:
            if properties:
                world.setdefault(f"/queues/{name}", {"name": name, "messages": 0}).update(properties)
            else:
                del world[f"/queues/{name}"]

    def faults(self, *rules: dict[str, Any]) -> None:
        (self.cloud / "faults.json").write_text(json.dumps(rules))

    def start(self, command: str, **options: Any) -> Process:
        process = Process({"DSTREAM_PROTOCOL": "1", **key_ring(), **self.env})
        line = {
            "command": command,
            "config": {"cloud": str(self.cloud), "queues": self.queues, **self.more},
            "infrastructure": {
                "task": self.task,
                "stack": self.stack,
                "work_dir": str(self.infra / self.task / "dev"),
                "backend_url": self.backend_url,
                "secrets_provider": self.secrets_provider,
                "program": self.program and str(self.program),
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
