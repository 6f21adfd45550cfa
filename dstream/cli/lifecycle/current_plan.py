"""`init --plan FILE` and `destroy --plan FILE`: whether a new plan is the one in the file, field by field. Pure.

What is shown, guarded and applied is always the new plan. The file only says which plan was approved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from dstream.cli.lifecycle.plan_fields import FieldChange, differences
from dstream.cli.lifecycle.plan_file import PlanFile, PlannedTask, as_json, planned_task, review
from dstream.cli.view.answer import Answer
from dstream.cli.view.words import few
from dstream.config import Project
from dstream.errors import DStreamError, RefusedError
from dstream.protocol.lifecycle import UPDATE_PLAN, ListedResource

_RESOURCE = re.compile(r"tasks\[\d+\]\.resources\[(\d+)\]\.")


def refuse_other_plans(
    file: PlanFile, project: Project, answers: Sequence[Answer], again: Sequence[str]
) -> list[Answer]:
    """Set the error `plan.stale`, which names the fields, on answers that differ from the file in anything.

    Exception: a resource may hold less data than planned, because draining it is how to avoid a loss.
    """
    return [replace(each, error=_error(file, project, each, again) or each.error) for each in answers]


def _error(file: PlanFile, project: Project, answer: Answer, again: Sequence[str]) -> DStreamError | None:
    if not answer.is_success:
        return None
    index = next(index for index, each in enumerate(file.tasks) if each.task == answer.task)
    saved = file.tasks[index]
    try:
        now = _comparable(planned_task(project.tasks[answer.task].output, answer), saved)
    except DStreamError as error:
        return error
    found = list(differences(as_json(saved), as_json(now), f"tasks[{index}]"))
    # What is shown says most; the provider's document repeats it in its own terms.
    found = [each for each in found if not each.path.startswith(f"tasks[{index}].document")] or found
    if not found:
        return None
    other = [each.path.removesuffix("op") for each in found if each.path.endswith("].op")]
    # Another operation has other differences and another note: they explain nothing.
    found = [each for each in found if each.path.endswith("].op") or not each.path.startswith(tuple(other))]
    named = few([_text(each, saved) for each in found], "; ")
    with_options = _options(file)
    return RefusedError(
        "plan.stale",
        f"the actual changes of {answer.task} differ from the plan of {file.created}{with_options}: {named}",
        hint=f"Review the current plan: {review(file, [answer.task], again)}",
    )


def _comparable(now: PlannedTask, saved: PlannedTask) -> PlannedTask:
    """Return the new plan with what may differ taken from the file: less data, and what only an `init` needs that
    follows at once."""
    document = {**now.document, UPDATE_PLAN: None} if UPDATE_PLAN in now.document else now.document
    known = {(each.type, each.name, each.op): each for each in saved.resources}
    resources = [_with_data_of(known.get((each.type, each.name, each.op)), each) for each in now.resources]
    return msgspec.structs.replace(now, document=document, resources=resources)


def _with_data_of(saved: ListedResource | None, now: ListedResource) -> ListedResource:
    if saved is None or now.op not in ("replace", "delete") or now.holds >= saved.holds:
        return now
    return msgspec.structs.replace(now, holds=saved.holds, held=saved.held, note=saved.note)


def _text(change: FieldChange, saved: PlannedTask) -> str:
    at = _RESOURCE.match(change.path)
    return f"{saved.resources[int(at[1])].name}: {change}" if at else str(change)


def _options(file: PlanFile) -> str:
    """Name the options of the file that influence the plan: an edited one has differences as its only effect."""
    default = type(file.options)()
    given: list[Any] = [each.path for each in differences(as_json(default), as_json(file.options), "options")]
    return f" (with {', '.join(given)})" if given else ""
