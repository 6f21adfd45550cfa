"""What the audit log says about plans and their results. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dstream.audit import AuditedError
from dstream.cli.view.answer import Answer


def plan_details(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return, for each task that may change, its changes and the digest of the plan that was approved."""
    return {
        answer.task: {"plan_sha256": _digest(answer), "changes": _changes(answer)}
        for answer in answers
        if answer.may_change
    }


def result_details(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return, for each task, the changes that were made, including those of a command that failed later."""
    return {answer.task: {"changes": _changes(answer, only_done=True)} for answer in answers}


def audited_errors(answers: Sequence[Answer]) -> list[AuditedError]:
    """Return the error of each task that failed."""
    return [AuditedError(answer.error.code, answer.task) for answer in answers if answer.error]


def _digest(answer: Answer) -> str | None:
    """Return the SHA-256 of the provider's plan document, as a saved plan contains it: sorted keys, no spaces.

    None for a provider that returns no plan document.
    """
    document = answer.outcome.plan if answer.outcome else None
    return _sha256(document) if document else None


def _sha256(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _changes(answer: Answer, *, only_done: bool = False) -> list[dict[str, str]]:
    return [
        {"op": each.op, "type": each.type, "name": each.name}
        for each in answer.resources
        if each.op != "same" and (each.phase == "done" or not only_done)
    ]
