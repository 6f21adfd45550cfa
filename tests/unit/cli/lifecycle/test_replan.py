"""`--replan` applies a new plan only if the saved one contains all of its changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dstream.cli.lifecycle.plan_file import SCHEMA_VERSION, PlanFile, PlannedTask, PlanOptions
from dstream.cli.lifecycle.replan import refuse_unplanned
from dstream.cli.view.answer import Answer
from dstream.errors import exit_code
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference


def resource(name: str, op: Any, **values: tuple[Any, Any]) -> ListedResource:
    diff = [Difference(path, old, new) for path, (old, new) in values.items()]
    return ListedResource(name, "test:Queue", op, diff=diff)


SAVED = [
    resource("orders", "update", size=(10, 5), tags=({}, {"a": 1})),
    resource("returns", "create", size=(None, 1)),
    resource("audit", "delete"),
    resource("other", "same"),
]


def refusal(*now: ListedResource, task: str = "t", all_tasks: bool = False) -> str:
    """The message and hint of the refusal; empty if the new plan is accepted."""
    planned = PlannedTask("t", "p", {}, SAVED, "", {"a": 1})
    file = PlanFile(SCHEMA_VERSION, "dstream.plan", "", "0.1.0", "dev", "init", PlanOptions(), [planned])
    answer = Answer(task, "p", outcome=LifecycleOutcome("p", resources=list(now)))
    (checked,) = refuse_unplanned(file, Path("plan.json"), [answer], ["--var", "env=prod"], all_tasks=all_tasks)
    if checked.error is None:
        return ""
    assert (checked.error.code, exit_code(checked.error)) == ("plan.unplanned", 5)
    assert checked.resources == answer.resources
    return f"{checked.error.message}\n{checked.error.hint}"


@pytest.mark.parametrize(
    "now",
    [
        SAVED,
        [],
        [resource("returns", "same"), resource("orders", "same")],  # done already
        [resource("orders", "update", size=(77, 5))],  # the current value has changed
        [resource("orders", "update", tags=({"b": 2}, {"a": 1}))],
    ],
)
def test_the_same_or_fewer_changes_are_accepted(now: list[ListedResource]) -> None:
    assert refusal(*now) == ""


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (resource("other", "update", size=(1, 2)), "update other"),
        (resource("orders", "update", size=(10, 6)), "update orders (size → 6)"),
        (resource("orders", "update", size=(10, 5), lock=("1m", "2m")), "update orders (lock → 2m)"),
        (resource("orders", "replace", size=(10, 5)), "replace orders"),
        (resource("returns", "import", size=(2, 1)), "import returns"),
        (resource("orders", "delete"), "delete orders"),
    ],
)
def test_any_other_change_is_refused_and_named(now: ListedResource, named: str) -> None:
    assert refusal(now) == (
        f"the new plan of t has changes that plan.json does not contain: {named}\n"
        "Review the new plan; to approve it, save it: dstream plan t --out plan.json --var env=prod"
    )


@pytest.mark.parametrize("elsewhere", [{"provider": "q"}, {"where": "sb-prod"}])
def test_the_same_change_elsewhere_is_refused(elsewhere: dict[str, str]) -> None:
    planned = PlannedTask("t", "p", {}, SAVED, "", {"a": 1}, "sb-dev")
    file = PlanFile(SCHEMA_VERSION, "dstream.plan", "", "0.1.0", "dev", "init", PlanOptions(), [planned])
    outcome = replace(LifecycleOutcome("p", resources=SAVED, where="sb-dev"), **elsewhere)
    (checked,) = refuse_unplanned(file, Path("plan.json"), [Answer("t", "p", outcome=outcome)], [], all_tasks=False)
    assert checked.error is not None
    assert "instead of p → sb-dev" in checked.error.message


def test_the_hint_plans_all_tasks_if_the_file_does() -> None:
    assert "dstream plan --all --out plan.json" in refusal(resource("new", "create"), all_tasks=True)


def test_a_failed_plan_keeps_its_error() -> None:
    file = PlanFile(SCHEMA_VERSION, "dstream.plan", "", "0.1.0", "dev", "init", PlanOptions(), [])
    interrupted = Answer("t", "p", outcome=LifecycleOutcome("p", is_interrupted=True))
    assert refuse_unplanned(file, Path("p"), [interrupted], [], all_tasks=False) == [interrupted]
