"""Describes steps to users: with display texts, notes, and what would be lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dstream.infra.definition import Definition
from dstream.infra.plan.losses import Loss, to_confirm
from dstream.infra.plan.step import PropertyChange, Step
from dstream.protocol.lifecycle import LifecycleOptions
from dstream.sdk import Difference, Resource
from dstream.sdk._infrastructure import Operation


class Describer:
    """Turns steps into what the host shows, in the definition's words."""

    def __init__(self, definition: Definition, options: LifecycleOptions) -> None:
        self._definition = definition
        self._options = options

    def progress(self, step: Step, why: str) -> Resource:
        """Describe a step that starts or ends; `why`: the reason if it failed."""
        return self._described(step, step.op, self._shown(step), " ".join(why.split()))

    def verdict(self, step: Step) -> Resource:
        """Describe the result of a refresh: drift, or with `refresh_only`, what was recorded."""
        note = "deleted outside DStream" if step.op == "delete" else ""
        is_recorded = self._options.refresh_only and step.op != "same"
        return self._described(step, "refresh" if is_recorded else step.op, step.diff, note)

    def step(self, step: Step, found: Mapping[str, Loss] | None = None) -> Resource:
        """Describe a planned or completed step. `found`: what it would lose, by URN."""
        diff, loss = self._shown(step), (found or {}).get(step.urn)
        if loss is not None:
            held = self._definition.held
            shown = self._described(step, step.op, diff, loss.note(held))
            confirm = step.name if to_confirm(loss, self._definition) else ""
            return shown._replace(holds=loss.holds or 0, held=held, confirm=confirm)
        return self._described(step, step.op, diff, self._note(step))

    def _note(self, step: Step) -> str:
        if step.op == "delete" and step.is_retained:
            return "stays in place and is no longer managed"
        if step.op == "replace" and step.name in self._options.replace:
            return "requested with --replace"
        unrecorded = self._definition.unrecorded
        if step.op == "create" and unrecorded and (step.type, step.name) in unrecorded:
            return "already exists; import with --import"
        return ""

    def _described(self, step: Step, op: Operation, diff: Sequence[PropertyChange], note: str) -> Resource:
        """Add the definition's display texts."""
        display = self._definition.display
        if display is None:
            return Resource(step.name, step.type, op, [Difference(*each) for each in diff], note)
        named = [
            Difference(
                *each,
                label=display.label(step.type, each.path),
                old_text=display.text(step.type, each.path, each.old),
                new_text=display.text(step.type, each.path, each.new),
            )
            for each in diff
        ]
        return Resource(step.name, step.type, op, named, note, kind=display.kind(step.type))

    def _shown(self, step: Step) -> Sequence[PropertyChange]:
        """The step's differences; for a new resource, without those that only repeat its name."""
        if step.op not in ("create", "import"):
            return step.diff
        naming = self._definition.naming
        return [each for each in step.diff if not {each.path, each.path.partition(".")[0]} & set(naming)]
