"""Commands that need neither a source nor a destination."""

from __future__ import annotations

import json
import os
import re
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


def test_run_reports_its_result_as_json(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("run", "count", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["schema_version"], summary["task"], summary["rows"], summary["drained"]) == (1, "count", 3, True)


def test_log_lines_are_json_on_request(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("run", "count", "--log-format", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"provider.ready", "run.started", "run.finished"} <= {event["event"] for event in events}
    assert all({"time", "level", "event", "task"} <= event.keys() for event in events)


def test_global_options_go_before_or_after_the_command(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    before = dstream("--log-format", "json", "run", "count")
    after = DStream(dstream.cwd.parent)("run", "count", "--chdir", dstream.cwd, "--log-format", "json")
    assert before.returncode == after.returncode == 0, after.stderr
    assert before.stderr.startswith("{")
    assert after.stderr.startswith("{")


def test_list_shows_tasks_and_their_checkpoints(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    assert "never run" in dstream("list").stdout
    dstream("run", "count")
    (task,) = json.loads(dstream("list", "--json").stdout)["tasks"]
    assert (task["name"], task["input"], task["output"]) == ("count", "counter", "console")
    assert task["stored_at"]


def test_list_shows_recorded_tasks_that_the_file_lacks(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    dstream("run", "count")
    recorded = dstream.cwd / ".dstream" / "infra" / "old%2Forders" / "dev" / "Pulumi.dev.yaml"
    recorded.parent.mkdir(parents=True)
    recorded.touch()
    (dstream.cwd / "dstream.hcl").write_text(COUNT.replace('"count"', '"renamed"', 1))
    listed = json.loads(dstream("list", "--json").stdout)
    assert [task["name"] for task in listed["tasks"]] == ["renamed"]
    assert listed["removed"] == [
        {"name": "count", "checkpoint": True, "infrastructure": False},
        {"name": "old/orders", "checkpoint": False, "infrastructure": True},
    ]
    assert dstream("list").stdout.splitlines()[1:] == [
        "",
        "Recorded in stack dev, but not in dstream.hcl:",
        "count        checkpoint",
        "old/orders   infrastructure",
        "",
        "Renamed a task? dstream state infra mv NAME NEW_TASK",
        "Removed a task? dstream destroy TASK --orphan NAME (TASK writes to the same namespace)",
    ]


def completed(dstream: DStream, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = {"COMP_WORDS": " ".join(["dstream", *words]), "COMP_CWORD": str(len(words))}
    env = {**dstream.env, **line, "_DSTREAM_COMPLETE": "bash_complete"}
    done = DStream(dstream.cwd, env)()
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    "words", [("run", "co"), ("plan", "co"), ("state", "show", "co"), ("unlock", "co"), ("doctor", "co")], ids=" ".join
)
def test_task_names_are_completed(words: tuple[str, ...], plain: Callable[[str], DStream]) -> None:
    assert completed(plain(COUNT), *words) == ["plain,count"]


def test_completion_reads_the_given_file_and_leaves_out_tasks_already_named(plain: Callable[[str], DStream]) -> None:
    dstream = plain(COUNT)
    (dstream.cwd / "dstream.hcl").rename(dstream.cwd / "other.hcl")
    assert completed(dstream, "run", "co") == []
    assert completed(dstream, "-c", "other.hcl", "run", "co") == ["plain,count"]
    assert completed(dstream, "run", "-c", "other.hcl", "count", "co") == []
    (dstream.cwd / "other.hcl").write_text("task {")
    assert completed(dstream, "-c", "other.hcl", "run", "co") == []


def test_provider_names_are_completed(plain: Callable[[str], DStream]) -> None:
    assert "plain,console" in completed(plain(COUNT), "provider", "show", "con")


def test_a_missing_variables_file_is_explained(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("validate", "--var-file", "nope")
    assert done.returncode == 3
    assert "nope not found" in done.stderr
    assert "--var-file" in done.stderr


def test_times_in_the_run_document_are_utc_with_milliseconds(plain: Callable[[str], DStream]) -> None:
    done = json.loads(plain(COUNT)("run", "count", "--json").stdout)
    for name in ("started_at", "ended_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done[name])


def test_validate_accepts_a_valid_file(plain: Callable[[str], DStream]) -> None:
    done = plain(COUNT)("validate", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True


def test_only_run_and_validate_need_the_settings_of_the_input(plain: Callable[[str], DStream]) -> None:
    infrastructure = COUNT.replace("count    = 3", 'count    = env("NO_SUCH")')
    infrastructure = infrastructure.replace('"console"', '"test_infrastructure"')
    dstream = plain(infrastructure.replace("config {}", "config { resources = { orders = { size = 1 } } }"))
    for command in (("plan", "count"), ("init", "count", "--yes"), ("status", "count"), ("destroy", "count", "--yes")):
        done = dstream(*command)
        assert done.returncode == 0, done.stderr
    for command in (("validate",), ("run", "count")):
        refused = dstream(*command)
        assert (refused.returncode, "config.env_unset" in refused.stderr) == (3, True), refused.stderr


def test_validate_reports_both_swapped_providers_with_their_lines(plain: Callable[[str], DStream]) -> None:
    done = plain(SWAPPED)("validate")
    assert done.returncode == 3
    assert '"console" is an output provider' in done.stderr
    assert '"counter" is an input provider' in done.stderr
    assert "dstream.hcl:3" in done.stderr
    assert "dstream.hcl:10" in done.stderr
    assert "2 errors in 1 file" in done.stderr


def test_variables_come_from_flags_files_or_the_environment(plain: Callable[[str], DStream]) -> None:
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


def test_wrong_usage_exits_with_3(tmp_path: Path) -> None:
    done = DStream(tmp_path)("run", "--bogus")
    assert done.returncode == 3
    assert "--bogus" in done.stderr


def test_version_lists_every_package() -> None:
    done = DStream(Path.cwd())("version", "--json")
    parts = json.loads(done.stdout)
    assert {"dstream", "dstream-mssql-cdc", "dstream-servicebus", "dstream-sandbox", "protocol"} <= parts.keys()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_completes_commands(shell: str, tmp_path: Path) -> None:
    script = DStream(tmp_path)("completion", shell)
    assert script.returncode == 0
    assert "_DSTREAM_COMPLETE" in script.stdout
    asking = {"_DSTREAM_COMPLETE": f"{shell}_complete", "COMP_WORDS": "dstream va", "COMP_CWORD": "1"}
    if shell == "fish":
        asking["COMP_CWORD"] = "va"
    answer = DStream(tmp_path, {**os.environ, **asking})()
    assert "validate" in answer.stdout
