"""Data-loss protection: finds what a replacement or deletion would lose, and refuses it unless allowed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dstream.errors import RefusedError
from dstream.infra.definition import Definition
from dstream.infra.plan.step import Step

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""Errors that `holds` raises if the outputs lack the figures it needs."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A step that deletes a resource which still holds data. `holds` is None if the amount is unknown."""

    step: Step
    holds: int | None

    def note(self, what: str) -> str:
        if self.holds is None:
            return f"may hold {what} that would be lost (number unknown)"
        return f"holds {self.holds:,} {what} that would be lost"


def losses(steps: Sequence[Step], definition: Definition) -> Mapping[str, Loss]:
    """Return the losses by URN, without empty resources."""
    found = {}
    for step in steps:
        if not is_deleted(step):
            continue
        try:
            holds = definition.holds(step)
        except _UNREADABLE:
            found[step.urn] = Loss(step, None)
            continue
        if holds > 0:
            found[step.urn] = Loss(step, holds)
    return found


def is_deleted(step: Step) -> bool:
    """Whether the step deletes the actual resource."""
    return step.op in ("replace", "delete") and not step.is_retained


def refuse(found: Mapping[str, Loss], definition: Definition) -> None:
    """Raise RefusedError `plan.data_loss` if anything would be lost."""
    if not found:
        return
    named = "; ".join(f"{each.step.name} ({each.step.op}) {each.note(definition.held)}" for each in found.values())
    first = next(iter(found.values())).step
    raise RefusedError(
        "plan.data_loss",
        named,
        config_path=definition.config_path_of(first.type, first.name),
        hint="Nothing was changed. Empty it first, or delete it anyway with --allow-data-loss.",
    )
