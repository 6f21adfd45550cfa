"""What the audit log says about plans and their results. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dstream.audit import AuditedError
from dstream.cli.lifecycle.plan_file import SavedPlan
from dstream.cli.view.answer import Answer


def plan_details(answers: Sequence[Answer], file: SavedPlan | None) -> dict[str, Any]:
    """Return the changes of each task that may change, and which plan file they are from."""
    plans = {answer.task: {"changes": _changes(answer)} for answer in answers if answer.may_change}
    if file is None:
        return {"plans": plans}
    known = {"plan_file": str(file.path.absolute()), "plan_sha256": file.digest}
    signed = {"plan_verified_with": file.signature.key} if file.signature and file.is_verified else {}
    return {"plans": plans, **known, **signed}


def result_details(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return, for each task, the changes that were made, including those of a command that failed later."""
    return {answer.task: {"changes": _changes(answer, only_done=True)} for answer in answers}


def audited_errors(answers: Sequence[Answer]) -> list[AuditedError]:
    """Return the error of each task that failed."""
    return [AuditedError(answer.error.code, answer.task) for answer in answers if answer.error]


def _changes(answer: Answer, *, only_done: bool = False) -> list[dict[str, str]]:
    return [
        {"op": each.op, "type": each.type, "name": each.name}
        for each in answer.resources
        if each.op != "same" and (each.phase == "done" or not only_done)
    ]
