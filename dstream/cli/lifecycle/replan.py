"""`init --plan FILE --replan`: which changes of a new plan the saved plan does not contain. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dstream.cli.lifecycle.plan_file import PlanFile, PlannedTask
from dstream.cli.view.answer import Answer
from dstream.cli.view.words import few, label, new_value
from dstream.errors import RefusedError
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Difference


def refuse_unplanned(
    file: PlanFile, path: Path, answers: Sequence[Answer], again: Sequence[str], *, all_tasks: bool
) -> list[Answer]:
    """Set the error `plan.unplanned` on answers with changes that the file does not contain.

    A change is contained if the file has the same operation on the same resource, setting the same properties to the
    same values, by the same provider in the same place. Current values may differ, and changes may be missing: those
    are done already.
    """
    planned = {each.task: each for each in file.tasks}
    chosen = ["--all"] if all_tasks else [answer.task for answer in answers]
    command = " ".join(["dstream", "plan", *chosen, "--out", str(path), *again])
    checked = []
    for answer in answers:
        found = list(_unplanned(answer, planned.get(answer.task))) if answer.is_success else []
        error = RefusedError(
            "plan.unplanned",
            f"the new plan of {answer.task} has changes that {path} does not contain: {few(found, '; ')}",
            hint=f"Review the new plan; to approve it, save it: {command}",
        )
        checked.append(replace(answer, error=error) if found else answer)
    return checked


def _unplanned(answer: Answer, planned: PlannedTask | None) -> Iterator[str]:
    resources = {_key(each): each for each in planned.resources} if planned else {}
    changes = [each for each in answer.resources if each.op != "same"]
    if planned and changes and (answer.provider, answer.where) != (planned.provider, planned.where):
        yield f"{answer.provider} → {answer.where} instead of {planned.provider} → {planned.where}"
    for each in changes:
        known = resources.get(_key(each))
        if known is None:
            yield f"{each.op} {each.name}"
            continue
        values = {_value(difference) for difference in known.diff}
        changed = [difference for difference in each.diff if _value(difference) not in values]
        if changed:
            what = few([f"{label(difference)} → {new_value(difference)}" for difference in changed], ", ")
            yield f"{each.op} {each.name} ({what})"


def _key(resource: ListedResource) -> tuple[str, str, str]:
    return resource.op, resource.type, resource.name


def _value(difference: Difference) -> tuple[str, str]:
    return difference.path, json.dumps(difference.new, sort_keys=True)
