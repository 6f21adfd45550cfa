"""The guard of data: what a replacement or deletion would lose, told with a plan and refused without leave. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dstream.errors import RefusedError
from dstream.infra.definition import Definition
from dstream.infra.plan.step import Step

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What `holds` raises when the figures that it needs are not among the outputs."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A step that deletes a resource with data in it. `holds` None: how much could not be found out."""

    step: Step
    holds: int | None

    def note(self, what: str) -> str:
        if self.holds is None:
            return f"how many {what} it holds is not known; they would be lost"
        return f"holds {self.holds:,} {what} that would be lost"


def losses(steps: Sequence[Step], definition: Definition) -> Mapping[str, Loss]:
    """By URN; nothing for what is empty."""
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
    """Whether the step takes a resource away."""
    return step.op in ("replace", "delete") and not step.is_retained


def refuse(found: Mapping[str, Loss], definition: Definition) -> None:
    """Raises RefusedError `infra.data_loss` if anything would be lost."""
    if not found:
        return
    named = "; ".join(f"{each.step.name} ({each.step.op}) {each.note(definition.held)}" for each in found.values())
    first = next(iter(found.values())).step
    raise RefusedError(
        "infra.data_loss",
        named,
        config_path=definition.config_path_of(first.type, first.name),
        hint="Nothing was changed. Empty it first, or give --allow-data-loss if it may be lost.",
    )
