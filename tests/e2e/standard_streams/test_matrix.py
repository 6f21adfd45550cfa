"""Each command with each odd standard stream or environment: the documented exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.running import Sandbox
from tests.warm import WarmDStream

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")

HERE = Path(__file__).parent
DEADLINE_S = 120.0
HCL = """
task "c" {
  input { provider_path = "./light-input" }
  output { provider_path = "./light-output" }
}
"""
STORED = {
    "version": 1,
    "task": "c",
    "input": "light",
    "output": "light",
    "seq": 1,
    "stored_at": "2026-11-25T10:00:00.000Z",
    "run_id": "r1",
    "state": {"next": 4},
}


@dataclass(frozen=True)
class Case:
    command: str
    code: int = 0
    writes_results: bool = True
    """Whether it writes to stdout."""


CASES = [
    Case("run c", writes_results=False),
    Case("run c --json"),
    Case("run c --output -"),
    Case("run nothing", code=3, writes_results=False),
    Case("plan c"),
    Case("plan --nonsense", code=3, writes_results=False),
    Case("init c --yes"),
    Case("init c", code=3, writes_results=False),
    Case("status --all"),
    Case("status c --detailed-exitcode", code=2),
    Case("destroy c --yes"),
    Case("unlock c"),
    Case("doctor c"),
    Case("validate"),
    Case("list"),
    Case("state show c"),
    Case("state export c"),
    Case("state set c checkpoint.json --yes"),
    Case("state rm c --yes"),
    Case("provider show ./light-output"),
    Case("provider new tides --kind input"),
    Case("provider test ./ends", code=1),
    Case("version"),
    Case("completion bash"),
    Case("--help"),
    Case("demo --rows 1", code=3, writes_results=False),
    Case("demo --data checkpoint.json", code=3, writes_results=False),
    Case("demo --data .dstream", code=3, writes_results=False),
    Case("demo --data /proc/none", code=1, writes_results=False),
    Case("sandbox status", code=1, writes_results=False),
    Case("sandbox env", code=1, writes_results=False),
    Case("sandbox sql 'SELECT 1'", code=1, writes_results=False),
]


@dataclass(frozen=True)
class Condition:
    """`streams`: where stdin, stdout and stderr lead instead; None: closed. `unset`, `env`: the environment."""

    name: str
    streams: Mapping[int, str | None] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    unset: Sequence[str] = ()


CONDITIONS = [
    Condition(
        "stdin closed and a bare environment",
        {0: None},
        {"PYTHONIOENCODING": "latin-1", "COLUMNS": "20"},
        unset=("HOME", "TERM"),
    ),
    Condition("stdout closed", {1: None}),
    Condition("stdout full", {1: "/dev/full"}),
    Condition("stderr closed", {2: None}),
    Condition("stderr full", {2: "/dev/full"}),
]


ALONE = [
    Condition("stdin closed", {0: None}),
    Condition("latin-1", env={"PYTHONIOENCODING": "latin-1"}),
    Condition("no HOME", unset=("HOME",)),
    Condition("no TERM", unset=("TERM",)),
    Condition("20 columns", env={"COLUMNS": "20"}),
]
"""What the first condition combines."""
EVERY_CONDITION = [*CONDITIONS, *(pytest.param(each, marks=pytest.mark.soak) for each in ALONE)]


@dataclass(frozen=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def run(warm: WarmDStream, command: str, condition: Condition, folder: Path) -> Ended:
    files = {1: str(folder / "stdout"), 2: str(folder / "stderr")}
    env = {**os.environ, "DSTREAM_SANDBOX_DATA": str(folder / "sandbox"), **condition.env}
    for name in condition.unset:
        env.pop(name, None)
    streams = {0: "/dev/null", **files, **condition.streams}
    code = warm.run(shlex.split(command), folder, env, list(streams.values()), DEADLINE_S)
    shown = [Path(path).read_text(errors="replace") if Path(path).exists() else "" for path in files.values()]
    return Ended(code, *shown)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmDStream]:
    warm = WarmDStream()
    yield warm
    warm.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dstream.hcl").write_text(HCL)
    state = tmp_path / ".dstream" / "state" / "dev"
    state.mkdir(parents=True)
    for file in (tmp_path / "checkpoint.json", state / "c.json"):
        file.write_text(json.dumps(STORED))
    for name in ("light-input", "light-output"):
        (tmp_path / name).write_text(f"#!{sys.executable} -SE\n{(HERE / 'light_provider.py').read_text()}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "ends").write_text("#!/bin/sh\n")
    (tmp_path / "ends").chmod(0o755)
    return tmp_path


OF_THE_SANDBOX = [
    Case("sandbox status"),
    Case("sandbox env"),
    Case("sandbox sql 'SELECT 1 AS n'"),
    Case("sandbox load --rows 10", writes_results=False),
    Case("sandbox queue matrix", writes_results=False),
    Case("sandbox peek peeked", writes_results=False),
    Case("demo --rows 100 --json"),
]


@pytest.mark.parametrize("condition", EVERY_CONDITION, ids=lambda condition: condition.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
def test_a_command_ends_as_documented(case: Case, condition: Condition, warm: WarmDStream, folder: Path) -> None:
    check(case, condition, run(warm, case.command, condition, folder))
    if case.command == "run c":
        assert [row["value"] for row in json.loads((folder / "rows.json").read_text())] == [0, 1, 2]


@pytest.fixture(scope="module")
def peeked(sandbox: Sandbox) -> None:
    sandbox.create_queue("peeked")


@pytest.mark.soak
@pytest.mark.usefixtures("peeked")
@pytest.mark.parametrize("condition", EVERY_CONDITION, ids=lambda condition: condition.name)
@pytest.mark.parametrize("case", OF_THE_SANDBOX, ids=lambda case: case.command)
def test_a_command_of_the_sandbox_ends_as_documented(
    case: Case, condition: Condition, warm: WarmDStream, folder: Path, sandbox: Sandbox
) -> None:
    with_sandbox = replace(condition, env={**condition.env, "DSTREAM_SANDBOX_DATA": str(sandbox.folder.path)})
    check(case, condition, run(warm, case.command, with_sandbox, folder))


def check(case: Case, condition: Condition, done: Ended) -> None:
    loses_results = 1 in condition.streams and case.writes_results
    assert done.code == (1 if loses_results else case.code), done
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception" not in done.stderr
    if loses_results:
        assert "[output.failed]" in done.stderr
