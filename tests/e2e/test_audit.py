"""The audit log of real commands: what each leaves behind, and what does not happen without it."""

from __future__ import annotations

import json
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import click
import pytest

from dstream.cli.command_table import COMMANDS
from dstream.cli.main import cli
from tests.conformance.commands import QUEUES, Place
from tests.warm import run_dstream

AUDIT = 'dstream {\n  audit {\n    file = "audit.jsonl"\n  }\n}\n'

CHANGING = {
    *(
        "deadletter purge",
        "deadletter replay",
        "deploy destroy",
        "deploy init",
        "deploy status",
        "destroy",
        "init",
        "run",
    ),
    *("state infra import", "state infra mv"),
    *("state import", "state infra rm", "state migrate", "state mv", "state rm", "state rollback", "state set"),
    *("status", "unlock"),
}
"""Commands that write the audit log; `run` with --reset, `status` with --refresh-only."""
READING = {
    *("audit verify", "completion", "deadletter list", "deadletter show", "deploy plan", "doctor", "list", "plan"),
    "provider list",
    *(
        "provider install",
        "provider lock",
        "provider new",
        "provider push",
        "provider show",
        "provider test",
        "snapshot",
    ),
    *("state export", "state history"),
    *("state infra list", "state show", "validate", "version"),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A task with two queues, and an audit log."""
    place = Place(tmp_path)
    place.queues()
    path = tmp_path / "dstream.hcl"
    path.write_text(AUDIT + path.read_text())
    return place


def entries(place: Place, file: str = "audit.jsonl") -> list[dict[str, Any]]:
    path = place.folder / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def in_short(found: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(each["command"], each["phase"], each.get("result")) for each in found]


def done(command: str, result: str = "succeeded") -> list[tuple[str, str, str | None]]:
    return [(command, "intent", None), (command, "result", result)]


def test_every_command_is_known_to_change_something_or_not() -> None:
    def leaves(command: click.Command, name: str) -> list[str]:
        if isinstance(command, click.Group):
            return [leaf for each, inner in command.commands.items() for leaf in leaves(inner, f"{name} {each}")]
        return [name]

    context = click.Context(cli)
    found = [leaf for name in COMMANDS for leaf in leaves(cli.get_command(context, name) or cli, name)]
    assert sorted(found) == sorted(CHANGING | READING), "add a new command to one of the sets"


def test_each_command_that_changes_something_leaves_its_intent_and_its_result(place: Place) -> None:
    for command in ("plan t", "init t --yes", "status t", "run t", "status t --refresh-only", "state show t"):
        assert place.dstream(*command.split()).returncode == 0, command
    (place.folder / "kept.json").write_text(place.dstream("state", "export", "t").stdout)
    for command in ("state rm t --yes", "state import t kept.json --yes", "run t --reset", "destroy t --yes"):
        assert place.dstream(*command.split()).returncode == 0, command
    found = entries(place)
    changes = ("init", "status --refresh-only", "state rm", "state import", "run --reset", "destroy")
    assert in_short(found) == [line for command in changes for line in done(command)]
    intent, result = found[:2]
    assert intent["change"] == result["change"]
    assert intent["tasks"] == ["t"]
    assert intent["config"] == str(place.folder / "dstream.hcl")
    assert intent["origin"]["user"] == pwd.getpwuid(os.geteuid()).pw_name
    assert intent["origin"]["host"] == socket.gethostname()
    planned = {(each["op"], each["name"]) for each in intent["details"]["plans"]["t"]["changes"]}
    assert planned == {("create", name) for name in QUEUES}
    made = {(each["op"], each["name"]) for each in result["details"]["tasks"]["t"]["changes"]}
    assert made == planned
    assert "stored_at" in found[6]["details"]["checkpoint"]

    verified = place.dstream("audit", "verify", "audit.jsonl", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["entries"] == len(found)


def test_the_intent_has_the_digest_of_the_plan_file(place: Place) -> None:
    place.dstream("plan", "t", "--out", "plan.json")
    shown = json.loads(place.dstream("plan", "--show", "plan.json", "--json").stdout)
    assert place.dstream("init", "--plan", "plan.json", "--yes").returncode == 0
    details = entries(place)[0]["details"]
    assert details["plan_file"] == str(place.folder / "plan.json")
    assert details["plan_sha256"] == shown["plan_file"]["digest"]


def test_a_declined_or_refused_change_is_not_logged(place: Place) -> None:
    assert place.at_a_terminal(b"n\n", "init", "t")[0] == 1
    assert place.dstream("init", "t").returncode == 3
    assert place.dstream("state", "rm", "t").returncode == 0  # there is no checkpoint
    assert place.dstream("init", "no-such-task", "--yes").returncode == 3
    assert entries(place) == []


@pytest.mark.parametrize(
    "command",
    ["init t --yes", "destroy t --yes", "status t --refresh-only", "state rm t --yes", "run t --reset"],
)
def test_nothing_changes_if_the_audit_log_cannot_be_written(command: str, place: Place) -> None:
    if command != "init t --yes":
        for first in ("init t --yes", "run t"):
            assert place.dstream(*first.split()).returncode == 0
    (place.folder / "audit.jsonl").unlink(missing_ok=True)
    (place.folder / "elsewhere").write_text("")
    (place.folder / "audit.jsonl").symlink_to(place.folder / "elsewhere")
    world, checkpoint = place.world, place.dstream("state", "show", "t").stdout
    refused = place.dstream(*command.split())
    assert refused.returncode == 1
    assert "[audit.unwritable]" in refused.stderr
    assert "Nothing was changed." in refused.stderr
    assert place.world == world
    assert place.dstream("state", "show", "t").stdout == checkpoint
    assert (place.folder / "elsewhere").read_text() == ""


def test_a_failed_change_has_its_error_code_and_what_was_done(place: Place) -> None:
    place.queues(fail={"init:orders": "system"})
    path = place.folder / "dstream.hcl"
    path.write_text(AUDIT + path.read_text())
    assert place.dstream("init", "t", "--yes").returncode != 0
    found = entries(place)
    assert in_short(found) == done("init", "failed")
    assert found[1]["errors"] == [{"code": "test_infrastructure.told_to_fail", "task": "t"}]
    assert {"op": "create", "type": "test:Queue", "name": "orders"} not in found[1]["details"]["tasks"]["t"]["changes"]


def test_the_environment_names_the_log_and_on_whose_behalf_a_command_runs(place: Place) -> None:
    env = {
        **os.environ,
        "DSTREAM_AUDIT_FILE": str(place.folder / "of-all.jsonl"),
        "DSTREAM_AUDIT_ACTOR": "octocat",
        "LOGNAME": "mallory",
        "USER": "mallory",
    }
    assert run_dstream(["init", "t", "--yes"], place.folder, env, 120).returncode == 0
    found = entries(place, "of-all.jsonl")
    assert in_short(found) == done("init")
    assert found[0]["origin"]["actor"] == "octocat"
    assert found[0]["origin"]["user"] != "mallory"
    assert entries(place) == []
    assert run_dstream(["destroy", "t", "--yes"], place.folder, {**env, "DSTREAM_AUDIT_FILE": ""}, 120).returncode == 0
    assert in_short(entries(place)) == done("destroy"), "an empty variable must not turn the log off"


def test_verify_names_the_first_broken_line(place: Place) -> None:
    place.dstream("init", "t", "--yes")
    place.dstream("destroy", "t", "--yes")
    path = place.folder / "audit.jsonl"
    noted = json.loads(place.dstream("audit", "verify", "audit.jsonl", "--json").stdout)["hash"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0].replace('"init"', '"plan"'), *lines[1:]]))
    broken = place.dstream("audit", "verify", "audit.jsonl")
    assert broken.returncode == 1
    assert "breaks at line 2" in broken.stderr
    assert "audit.jsonl:2" in broken.stderr
    assert "[audit.broken]" in broken.stderr

    path.write_text("".join(lines[:3]))
    cut = place.dstream("audit", "verify", "audit.jsonl")
    assert cut.returncode == 0
    assert "No result: dstream destroy t by" in cut.stdout
    assert place.dstream("audit", "verify", "audit.jsonl", "--contains", noted).returncode == 1
    assert place.dstream("audit", "verify", "no-such-file").returncode == 3


def test_the_log_contains_no_secret(place: Place) -> None:
    env = {**os.environ, "PULUMI_ACCESS_TOKEN": "hunter2secret"}
    for command in ("plan t --out hunter2secret.json", "init --plan hunter2secret.json --yes"):
        assert run_dstream(command.split(), place.folder, env, 120).returncode == 0
    assert entries(place)[0]["details"]["plan_file"].endswith("/***.json")
    assert "hunter2secret" not in (place.folder / "audit.jsonl").read_text()


def test_an_audit_block_without_a_file_is_an_error(place: Place) -> None:
    path = place.folder / "dstream.hcl"
    path.write_text(path.read_text().replace('file = "audit.jsonl"', ""))
    refused = place.dstream("init", "t", "--yes")
    assert refused.returncode == 3
    assert "[config.missing]" in refused.stderr
    assert place.world["real"] == {}
