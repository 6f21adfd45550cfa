"""Saves and applies plan files with the real commands, and with a stand-in for the provider whose plan depends on the
options, as a real one's does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from dstream.cli.main import cli
from dstream.errors import DStreamError, RefusedError
from dstream.host import LifecycleJob, LifecycleOutcome
from dstream.protocol.lifecycle import LifecycleOptions, ListedResource
from dstream.protocol.messages import Difference

TASK = """
task "orders" {
  input {
    provider = "counter"
  }
  output {
    provider = "test_infrastructure"
    config {
      file  = "orders.json"
      fixed = ["sessions"]
    }
  }
}
"""


def resource(name: str, op: Any, *diff: Difference, **more: Any) -> ListedResource:
    return ListedResource(name, "test:Queue", op, "planned", list(diff), **more)


PLANNED = [
    resource("audit", "same"),
    resource(
        "orders", "update", Difference("size", 10, 5, "max size", "10GB", "5GB"), Difference("tags", {"a": [1]}, {})
    ),
    resource("returns", "create", Difference("size", None, 1.5), note="exists already", kind="queue"),
    resource("sales", "replace", Difference("sessions", False, True), holds=12, held="messages", confirm="sales"),
]
DELETED = [msgspec.structs.replace(each, op="delete", diff=[]) for each in PLANNED]


class FakeProvider:
    """Plans as the options say, and notes what it is told to do."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, LifecycleOptions]] = []
        self.planned = PLANNED

    def run(self, job: LifecycleJob, **_: Any) -> LifecycleOutcome:
        if job.command != "plan":
            options = msgspec.structs.replace(
                job.options, target_dependents=job.options.target_dependents and bool(job.options.target)
            )
            self.done.append((job.task, job.command, options))
            return LifecycleOutcome("fake", [msgspec.structs.replace(each, phase="done") for each in self.planned])
        resources = [self._asked(each, job.options) for each in (DELETED if job.options.destroy else self.planned)]
        resources = [each for each in resources if not job.options.target or each.name in job.options.target]
        document = {"spec": "5f0a", "steps": [{"urn": f"::{each.name}", "op": each.op} for each in resources]}
        known = {each.name for each in PLANNED}
        unknown = [*job.options.target, *job.options.exclude, *job.options.replace]
        error = RefusedError("infra.unknown_target", "unknown") if {*unknown} - known else None
        return LifecycleOutcome(
            "fake", resources, plan={**document, "update_plan": None}, where="here", message="Fine.", error=error
        )

    def _asked(self, each: ListedResource, options: LifecycleOptions) -> ListedResource:
        if each.name in options.exclude:
            return msgspec.structs.replace(each, op="same", diff=[])
        if each.name == "returns" and options.import_:
            return msgspec.structs.replace(each, op="import")
        if each.name == "audit" and not options.refresh:
            return msgspec.structs.replace(each, note="not read")
        return msgspec.structs.replace(each, op="replace") if each.name in options.replace else each


class Applied(NamedTuple):
    """How a command ended."""

    error: str
    """Its code, empty on success; the message follows."""
    done: list[tuple[str, str, LifecycleOptions]]
    output: str


class Bench:
    """A folder with a saved plan of a fake provider."""

    def __init__(self, folder: Path, provider: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.provider, self._capsys = folder, provider, capsys
        self.file = folder / "plan.json"

    def save(self, *flags: str) -> dict[str, Any]:
        assert self.dstream("plan", "orders", "--out", str(self.file), *flags).error == ""
        saved: dict[str, Any] = json.loads(self.file.read_text())
        return saved

    def apply(self, document: Mapping[str, Any] | str, command: str = "init", *flags: str) -> Applied:
        text = document if isinstance(document, str) else json.dumps(document)
        self.file.write_text(text)
        allowed = ("--allow-data-loss", "--confirm", "sales", "--confirm", "audit")
        return self.dstream(command, "--plan", str(self.file), "--yes", *(flags or allowed))

    def dstream(self, *arguments: str) -> Applied:
        self.provider.done = []
        try:
            result = cli.main([*arguments, "--config", str(self.folder / "dstream.hcl")], standalone_mode=False)
            error = "" if result == 0 else "failed: "
        except DStreamError as raised:
            error = f"{raised.code}: {raised.message}"
        shown = self._capsys.readouterr()
        return Applied(error + (shown.err if error else ""), self.provider.done, shown.out)
