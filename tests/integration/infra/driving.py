"""One lifecycle command after the other against the provider of `queues.py`, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.infra.cloud import World

ROOT = Path(__file__).parent.parent.parent.parent
DEADLINE_S = 60.0


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

    def start(self, command: str, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.infra.queues"],
            cwd=ROOT,
            env={**os.environ, "DSTREAM_PROTOCOL": "1", **self.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
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
        assert process.stdin is not None
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        return process

    def __call__(self, command: str, **options: Any) -> Answer:
        return ended(self.start(command, **options))


def ended(process: subprocess.Popen[bytes], *signals: signal.Signals) -> Answer:
    for number in signals:
        process.send_signal(number)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdin is not None
    try:
        out = process.stdout.read()  # stdin stays open: its end would mean `stop`
        stderr = process.stderr.read().decode()
        code = process.wait(DEADLINE_S)
    finally:
        process.kill()
        process.stdin.close()
    lines = [json.loads(line) for line in out.splitlines()]
    return Answer([each for each in lines if each.get("dstream") not in ("hello", "heartbeat", "log")], stderr, code)
