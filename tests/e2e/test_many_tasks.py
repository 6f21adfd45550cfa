"""Files with many tasks: the work grows with the number of executables, not with the number of tasks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.running import BIN, DStream

TASKS = 12
SCHEMA = {"type": "object", "properties": {"key": {"x-run-only": True}, "size": {"type": "integer"}}}
PROVIDER = """#!/bin/sh
echo started >> {starts}
echo '{{"dstream":"hello","protocol":1,"role":"{role}","name":"{role}","version":"1","capabilities":{capabilities}}}'
read -r line_1
case "$line_1" in
  *'"describe"'*) echo '{{"dstream":"description","config_schema":{schema}}}' ;;
  *) echo '{{"status":"Success"}}' ;;
esac
"""
TASK = """
task "t%02d" {
  input { provider_path = "./input" }
  output {
    provider_path = "./output"
    config { %s }
  }
}
"""


class ManyTasks:
    """A project of tasks that all use the same two executables, which count how often they start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, config: str, *, infrastructure: bool = True) -> DStream:
        for role in ("input", "output"):
            manages = ["infrastructure"] if infrastructure and role == "output" else []
            script = self._folder / role
            script.write_text(
                PROVIDER.format(
                    starts=self._folder / f"{role}.starts",
                    role=role,
                    capabilities=json.dumps(["describe", *manages]),
                    schema=json.dumps(SCHEMA),
                )
            )
            script.chmod(0o755)
        (self._folder / "dstream.hcl").write_text("".join(TASK % (number, config) for number in range(TASKS)))
        return DStream(self._folder)

    def starts(self, role: str) -> int:
        file = self._folder / f"{role}.starts"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def many(tmp_path: Path) -> ManyTasks:
    return ManyTasks(tmp_path)


@pytest.mark.parametrize("command", ["validate", "doctor"])
def test_each_executable_starts_once(command: str, many: ManyTasks) -> None:
    done = many.write("size = 5")(command)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (many.starts("input"), many.starts("output")) == (1, 1)


def test_an_error_of_an_executable_is_reported_at_each_block_that_uses_it(many: ManyTasks) -> None:
    dstream = many.write("size = 5")
    hcl = dstream.cwd / "dstream.hcl"
    hcl.write_text(hcl.read_text().replace("./output", "./input"))
    done = dstream("validate")
    assert done.returncode == 3
    assert done.stderr.count("cannot be used as an output") == TASKS
    assert len({line.split()[0] for line in done.stderr.splitlines() if "cannot be used" in line}) == TASKS
    assert many.starts("input") == 2, "once for each role"


def test_status_asks_once_which_unset_settings_it_can_ignore(many: ManyTasks) -> None:
    done = many.write('key = env("DSTREAM_TEST_UNSET")')("status", "--all", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["tasks"]) == TASKS
    assert many.starts("output") == 1 + TASKS


def test_an_executable_without_infrastructure_is_not_started_for_each_task(many: ManyTasks) -> None:
    done = many.write("size = 5", infrastructure=False)("plan", "--all")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("manages no infrastructure") == TASKS
    assert many.starts("output") < TASKS


def limited(limit: str, dstream: DStream) -> subprocess.CompletedProcess[str]:
    """`dstream run --all` with a limit on open files."""
    return subprocess.run(
        ["bash", "-c", f'ulimit {limit} && exec "$0" run --all --json --no-restart', BIN / "dstream"],
        cwd=dstream.cwd,
        env=dstream.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def counters(tmp_path: Path) -> DStream:
    task = (
        'task "t%d" {\n  input {\n    provider = "counter"\n    config {\n      count = 1\n    }\n  }\n'
        '  output {\n    provider = "console"\n  }\n}\n'
    )
    (tmp_path / "dstream.hcl").write_text("".join(task % number for number in range(4)))
    return DStream(tmp_path)


def test_run_raises_the_soft_limit_of_open_files(counters: DStream) -> None:
    done = limited("-Sn 40", counters)
    assert done.returncode == 0, done.stderr
    assert [each["rows"] for each in json.loads(done.stdout)["runs"]] == [1] * 4


def test_the_hard_limit_of_open_files_is_an_error_with_its_fix(counters: DStream) -> None:
    done = limited("-n 24", counters)
    assert done.returncode != 0
    assert "[run.crashed]" not in done.stderr
    assert "Too many open files" in done.stderr
    assert "ulimit -Hn" in done.stderr


def test_several_tasks_end_with_a_total_and_the_next_command_says_all(tmp_path: Path) -> None:
    task = (
        'task "t%d" {\n  input {\n    provider = "counter"\n  }\n  output {\n    provider = "test_infrastructure"\n'
        '    config {\n      file      = "%d.json"\n      resources = { a = {}, b = {} }\n    }\n  }\n}\n'
    )
    (tmp_path / "dstream.hcl").write_text("".join(task % (number, number) for number in range(2)))
    dstream = DStream(tmp_path)
    planned = dstream("plan", "--all").stdout
    assert planned.endswith("\nPlan for 2 tasks: 4 to create.\n\nNext: dstream init --all\n")
    assert "\n2 tasks: created 4 in " in dstream("init", "--all", "--yes").stdout
    assert "\nPlan for 2 tasks: no changes, 4 unchanged.\n" in dstream("plan", "--all").stdout
    saved = dstream("plan", "--all", "--destroy", "--out", "plan.json").stdout
    assert saved.endswith("\nNext: dstream destroy --plan plan.json\n")
    assert "\nPlan for 2 tasks: 4 to delete.\n" in saved
