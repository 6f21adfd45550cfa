"""The commands that need neither source nor destination."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from dstream.cli.main import cli
from tests.running import DStream

COUNT = """
task "count" {
  input {
    provider = "counter"
    config {
      interval = "1ms"
      count    = 3
    }
  }
  output {
    provider = "console"
    config {}
  }
}
"""
SWAPPED = COUNT.replace('"counter"', '"x"').replace('"console"', '"counter"').replace('"x"', '"console"')


@pytest.fixture
def plain(tmp_path: Path) -> Callable[[str], DStream]:
    def make(hcl: str) -> DStream:
        (tmp_path / "dstream.hcl").write_text(hcl)
        return DStream(tmp_path)

    return make


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example(path: tuple[str, ...], tmp_path: Path) -> None:
    done = DStream(tmp_path)(*path, "--help")
    assert done.returncode == 0
    example = done.stdout.rpartition("Example")[2]
    assert f"dstream {path[0]}" in example or path == ("sandbox",)


def test_a_run_says_in_json_what_it_did(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("run", "count", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["schema_version"], summary["task"], summary["rows"], summary["drained"]) == (1, "count", 3, True)


def test_log_lines_are_json_when_asked_for(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("run", "count", "--log-format", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"provider.ready", "run.started", "run.finished"} <= {event["event"] for event in events}
    assert all({"time", "level", "event", "task"} <= event.keys() for event in events)


def test_the_options_stand_before_or_behind_the_command(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    before = dstream("--log-format", "json", "run", "count")
    behind = DStream(dstream.cwd.parent)("run", "count", "--chdir", dstream.cwd, "--log-format", "json")
    assert before.returncode == behind.returncode == 0, behind.stderr
    assert before.stderr.startswith("{")
    assert behind.stderr.startswith("{")


def test_list_shows_tasks_and_their_checkpoints(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    assert "never run" in dstream("list").stdout
    dstream("run", "count")
    (task,) = json.loads(dstream("list", "--json").stdout)["tasks"]
    assert (task["name"], task["input"], task["output"]) == ("count", "counter", "console")
    assert task["stored_at"]


def test_validate_says_that_all_is_well(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("validate", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True


def test_what_only_the_input_needs_is_asked_for_by_run_and_validate_alone(plain: Callable[[str], DStream]) -> None:
    infrastructure = COUNT.replace("count    = 3", 'count    = env("NO_SUCH")')
    infrastructure = infrastructure.replace('"console"', '"test_infrastructure"')
    dstream = plain(infrastructure.replace("config {}", "config { resources = { orders = { size = 1 } } }"))
    for command in (("plan", "count"), ("init", "count", "--yes"), ("status", "count"), ("destroy", "count", "--yes")):
        done = dstream(*command)
        assert done.returncode == 0, done.stderr
    for command in (("validate",), ("run", "count")):
        refused = dstream(*command)
        assert (refused.returncode, "config.env_unset" in refused.stderr) == (3, True), refused.stderr


def test_validate_finds_swapped_providers_both_at_once_each_at_its_line(plain: Callable[[str], DStream]) -> None:
    done = plain(SWAPPED)("validate")
    assert done.returncode == 3
    assert '"console" is an output provider' in done.stderr
    assert '"counter" is an input provider' in done.stderr
    assert "dstream.hcl:3" in done.stderr
    assert "dstream.hcl:10" in done.stderr
    assert "2 errors in 1 file" in done.stderr


def test_a_variable_comes_from_the_command_line_a_file_or_the_environment(plain: Callable[[str], DStream]) -> None:
    hcl = 'variable "n" {\n  type = number\n}\n' + COUNT.replace("= 3", "= var.n")
    dstream = plain(hcl)
    (dstream.cwd / "two.vars").write_text("n = 2\n")

    def rows(*arguments: str, **env: str) -> int:
        for state in dstream.cwd.glob(".dstream/state/*/*.json"):
            state.unlink()
        done = DStream(dstream.cwd, {**dstream.env, **env})("run", "count", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["rows"])

    assert rows("--var", "n=1") == 1
    assert rows("--var-file", str(dstream.cwd / "two.vars")) == 2
    assert rows(DSTREAM_VAR_n="4") == 4


def test_wrong_usage_ends_with_3(tmp_path: Path) -> None:
    done = DStream(tmp_path)("run", "--bogus")
    assert done.returncode == 3
    assert "--bogus" in done.stderr


def test_version_names_every_part() -> None:
    done = DStream(Path.cwd())("version", "--json")
    parts = json.loads(done.stdout)
    assert {"dstream", "dstream-mssql-cdc", "dstream-servicebus", "dstream-sandbox", "protocol"} <= parts.keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_and_then_completions(shell: str, tmp_path: Path) -> None:
    script = DStream(tmp_path)("completion", shell)
    assert script.returncode == 0
    assert "_DSTREAM_COMPLETE" in script.stdout
    asking = {"_DSTREAM_COMPLETE": f"{shell}_complete", "COMP_WORDS": "dstream va", "COMP_CWORD": "1"}
    if shell == "fish":
        asking["COMP_CWORD"] = "va"
    answer = DStream(tmp_path, {**os.environ, **asking})()
    assert "validate" in answer.stdout
