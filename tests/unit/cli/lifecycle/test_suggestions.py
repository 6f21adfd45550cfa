"""Suggested commands repeat the options of the user's command, without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pytest

from dstream.cli.lifecycle.change import change
from dstream.cli.lifecycle.flags import Flags
from dstream.cli.lifecycle.guard import refuse_data_loss, refuse_ignored_flags, refuse_unconfirmed
from dstream.cli.lifecycle.plan_file import PlanFile, PlannedTask, PlanOptions, refuse_foreign, refuse_moved
from dstream.cli.options import Options
from dstream.cli.view.answer import Answer
from dstream.config import load
from dstream.errors import ConfigError, RefusedError
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource

OPTIONS = Options(
    config=Path("my file.hcl"),
    variables=("size=10", "db_password=hunter2"),
    variable_files=(Path("prod.vars"),),
    chdir=Path("infra"),
)
REPEATED = "--chdir infra --config 'my file.hcl' --var-file prod.vars --var size=10 --var 'db_password=***'"


def test_the_suggested_plan_repeats_the_options() -> None:
    with patch("sys.stdin.isatty", return_value=False), pytest.raises(ConfigError) as caught:
        change("destroy", Flags(tasks=["orders"]), OPTIONS)
    assert caught.value.hint == f"Confirm with --yes. Preview it first: dstream plan orders --destroy {REPEATED}"


def test_a_plan_file_and_the_suggested_command_keep_the_chosen_resources() -> None:
    flags = Flags(tasks=["orders"], exclude=["a b"], replace=["c"])
    assert flags.chosen == ["--exclude", "'a b'", "--replace", "c"]
    made_with = PlanOptions.of(flags.lifecycle(), all_tasks=True)
    assert (made_with.exclude, made_with.replace, made_with.all_tasks) == (["a b"], ["c"], True)
    assert Flags(target=["a"], target_dependents=True).chosen == ["--target", "a", "--target-dependents"]


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (Flags(tasks=["a"], target=["x"], exclude=["y"]), "either --target or --exclude"),
        (Flags(tasks=["a"], target_dependents=True), "--target-dependents requires --target"),
        (Flags(tasks=["a"], all_tasks=True), "Use either TASK or --all, not both"),
        (Flags(tasks=["a"], replace=["x"], destroy=True), "--replace cannot be combined"),
        (Flags(plan_file=Path("p"), exclude=["x"]), "A plan file cannot be combined"),
        (Flags(tasks=["a", "b"], orphan="c"), "--orphan requires exactly one task"),
    ],
)
def test_conflicting_choices_are_refused(flags: Flags, problem: str) -> None:
    with pytest.raises(click.UsageError, match=problem):
        flags.check(Options())


@pytest.mark.parametrize(
    ("op", "flags", "flag"),
    [
        ("update", Flags(exclude=["orders"]), "--exclude"),
        ("update", Flags(replace=["orders"]), "--replace"),
        ("same", Flags(exclude=["orders"]), ""),
        ("replace", Flags(replace=["orders"]), ""),
        ("update", Flags(exclude=["returns"], replace=["returns"]), ""),
    ],
)
def test_a_provider_that_ignores_the_choice_of_resources_is_refused(op: Any, flags: Flags, flag: str) -> None:
    planned = ListedResource(name="orders", type="queue", op=op, phase="planned")
    (answer,) = refuse_ignored_flags(
        [Answer("orders", "mine", outcome=LifecycleOutcome("mine", resources=[planned]))], flags
    )
    assert (answer.error.hint if answer.error else "") == (f"Omit {flag}." if flag else "")


def test_the_command_that_allows_data_loss_repeats_the_options() -> None:
    lost = ListedResource(name="orders", type="queue", op="delete", phase="planned", holds=3)
    answer = Answer("orders", "servicebus", outcome=LifecycleOutcome("servicebus", resources=[lost]))
    (refused,) = refuse_data_loss("destroy", [answer], OPTIONS.again)
    assert refused.error is not None
    assert refused.error.hint.endswith(f"dstream destroy orders --allow-data-loss {REPEATED}")
    assert "hunter2" not in refused.error.hint
    document = refused.document()["error"]
    assert (document["code"], document["aliases"]) == ("plan.data_loss", ["infra.data_loss"])


@pytest.mark.parametrize(
    ("all_tasks", "names", "chosen"),
    [(True, ["a", "b"], "--all"), (True, ["a"], "a"), (False, ["a", "b"], "a b")],
)
def test_a_plan_is_made_again_as_it_was_made(all_tasks: bool, names: list[str], chosen: str, tmp_path: Path) -> None:
    file = tmp_path / "dstream.hcl"
    task = 'task "{}" {{\n  input {{ provider = "counter" }}\n  output {{ provider = "console" }}\n}}\n'
    file.write_text(task.format("a") + task.format("b"))
    tasks = [PlannedTask(name, "console", {"config": "of yesterday"}, [], "", {}) for name in ("a", "b")]
    plan = PlanFile(1, "dstream.plan", "", "", "dev", "init", PlanOptions(all_tasks=all_tasks), tasks)
    project = load(file, environ={})
    with pytest.raises(RefusedError) as stale:
        refuse_moved(plan, project, names, [])
    assert stale.value.hint == f"Review the current plan: dstream plan {chosen}"
    with pytest.raises(RefusedError) as foreign:
        refuse_foreign(plan, Path("plan.json"), "destroy", project, names, [])
    assert foreign.value.hint == f"Re-create it: dstream plan {chosen} --destroy --out plan.json"


def test_a_namespace_with_others_resources_needs_its_name_and_the_hint_says_so() -> None:
    lost = ListedResource(name="sb", type="ns", op="delete", phase="planned", note="contains queue b", confirm="sb")
    answer = Answer("orders", "servicebus", outcome=LifecycleOutcome("servicebus", resources=[lost]))

    (refused,) = refuse_data_loss("destroy", [answer], OPTIONS.again)
    assert refused.error is not None
    assert f"dstream destroy orders --allow-data-loss --confirm sb {REPEATED}" in refused.error.hint
    (unconfirmed,) = refuse_unconfirmed("destroy", [answer], ["another"], OPTIONS.again)
    assert unconfirmed.error is not None
    assert (unconfirmed.error.code, unconfirmed.error.message) == (
        "plan.not_confirmed",
        "destroy of orders is not confirmed: sb contains queue b",
    )
    assert refuse_unconfirmed("destroy", [answer], ["sb"], OPTIONS.again) == [answer]
