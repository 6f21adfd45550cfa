"""Data-loss protection: finds what a replacement or deletion would lose, and refuses it unless allowed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dstream.errors import RefusedError
from dstream.infra.definition import Content, Contents, Definition
from dstream.infra.plan.step import Step

_MOST = 10
"""Maximum number of listed contents."""
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""Errors that `holds` raises if the outputs lack the figures it needs."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A step that deletes a resource which still holds data. `holds` is None if the amount is unknown."""

    step: Step
    holds: int | None
    contents: Sequence[Content] = ()
    """What would be deleted with it: all that holds data, and all that this stack did not create."""
    unlisted: str = ""
    """Why the contents are unknown."""

    def note(self, what: str) -> str:
        if self.unlisted:
            return f"may contain {what} and resources of others (cannot list them: {self.unlisted})"
        if self.contents:
            return f"contains {_listed(self.contents, what)} that would be deleted too"
        if self.holds is None:
            return f"may hold {what} that would be lost (number unknown)"
        return f"holds {_amount(self.holds, what)} that would be lost"


def losses(
    steps: Sequence[Step], definition: Definition, contents: Mapping[str, Contents] | None = None
) -> Mapping[str, Loss]:
    """Return the losses by URN, without empty resources. `contents`: what the deleted resources contain, by URN."""
    deleted = [each for each in steps if is_deleted(each)]
    own = {each.id.lower() for each in deleted}
    found = {}
    for step in deleted:
        inside = (contents or {}).get(step.urn, Contents())
        lost = [each for each in inside.items if each.holds != 0 or each.id.lower() not in own]
        try:
            holds = definition.holds(step)
        except _UNREADABLE:
            found[step.urn] = Loss(step, None, lost, inside.unknown)
            continue
        if holds > 0 or lost or inside.unknown:
            total = holds + sum(each.holds or 0 for each in lost)
            found[step.urn] = Loss(step, None if inside.unknown else total, lost, inside.unknown)
    return found


def is_deleted(step: Step) -> bool:
    """Whether the step deletes the actual resource."""
    return step.op in ("replace", "delete") and not step.is_retained


def to_confirm(loss: Loss, definition: Definition) -> bool:
    """Whether the user must type the resource's name."""
    return bool(loss.contents or loss.unlisted) and loss.step.type in definition.confirmed_by_name


def refuse_unconfirmed(found: Mapping[str, Loss], definition: Definition, confirmed: Collection[str]) -> None:
    """Raise RefusedError `plan.not_confirmed` for a resource whose name the user must type and has not."""
    for loss in found.values():
        if to_confirm(loss, definition) and loss.step.name not in confirmed:
            raise RefusedError(
                "plan.not_confirmed",
                f"{loss.step.name} ({loss.step.op}) {loss.note(definition.held)}",
                config_path=definition.config_path_of(loss.step.type, loss.step.name),
                hint=f"Nothing was changed. To delete all of it, add --confirm {loss.step.name}.",
            )


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


def _listed(contents: Sequence[Content], what: str) -> str:
    """'queue orders (3 messages), queue audit and 2 more'"""
    ordered = sorted(contents, key=lambda each: each.holds == 0)
    names = [_named(each, what) for each in ordered[:_MOST]]
    if len(ordered) > _MOST:
        names.append(f"{len(ordered) - _MOST:,} more")
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _named(each: Content, what: str) -> str:
    if each.holds is None:
        return f"{each.kind} {each.name} (number of {what} unknown)"
    return f"{each.kind} {each.name}" + (f" ({_amount(each.holds, what)})" if each.holds else "")


def _amount(number: int, what: str) -> str:
    """'3 messages', '1 message'"""
    return f"{number:,} {what.removesuffix('s') if number == 1 else what}"
