"""Turns the engine's events into steps, outputs and diagnostics. Pure.

Omits the stack itself, providers, and the two halves of a replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dstream.infra.plan.step import PropertyChange, Step
from dstream.infra.plan.values import at, is_within, leaves, properties
from dstream.sdk._infrastructure import Operation

if TYPE_CHECKING:
    from pulumi.automation import EngineEvent
    from pulumi.automation.events import DiagnosticEvent, StepEventMetadata, StepEventStateMetadata

Phase = Literal["started", "done", "failed"]
Severity = Literal["info", "warning", "error"]

_STACK = "pulumi:pulumi:Stack"
_INTERNAL = "pulumi:"
_OPERATIONS: Mapping[str, Operation] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "same": "same",
    "import": "import",
    "read": "same",
    "read-replacement": "same",
    "discard": "same",
    "read-discard": "same",
}
_CREATIONS = frozenset({"create", "create-replacement"})
_HALVES = frozenset({"create-replacement", "delete-replaced", "import-replacement"})


@dataclass(frozen=True, slots=True)
class EngineProblem:
    """An error or a warning that the engine or a provider reported."""

    severity: Severity
    message: str
    urn: str = ""

    @property
    def name(self) -> str:
        """The resource's name; empty for problems of the whole stack."""
        return "" if _is_internal(self.urn) else self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        """The resource's type token; empty for problems of the whole stack."""
        return "" if _is_internal(self.urn) else _type_of(self.urn)


@dataclass(frozen=True, slots=True)
class FailedCreation:
    """A creation that the resource provider reported as failed."""

    step: Step
    why: str
    resource: Mapping[str, Any]
    """As in a record (pulumi/sdk/go/common/apitype/core.go, ResourceV3), without an id; secrets are masked."""


class EngineEvents:
    """Takes the events of one command in order, and calls `on_step` with each resource's progress.

    `ignored`: recorded property paths, by URN, whose changes are not drift. The engine leaves this to the resource
    providers (pulumi, resource/deploy/step_generator.go, diffResource), and azure-native does not do it.
    """

    def __init__(
        self,
        on_step: Callable[[Step, Phase, str], None] = lambda *_: None,
        ignored: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._on_step = on_step
        self._ignored = ignored or {}
        self.is_record_outdated = False
        """Whether the resources differ from the record, even if only in what is ignored."""
        self.removed: dict[str, set[str]] = {}
        """The inputs that replacements remove, by URN."""
        self._steps: dict[str, Step] = {}
        self._verdicts: dict[str, Step] = {}
        self._reading: set[str] = set()
        self._half_done: set[str] = set()
        self._open: dict[str, Step] = {}
        self.problems: list[EngineProblem] = []
        self.failed_creations: list[FailedCreation] = []
        self.outputs: Mapping[str, Any] = {}
        """The program's exports; secrets are masked."""

    @property
    def steps(self) -> list[Step]:
        """The steps, sorted by name, because the engine runs them concurrently."""
        return sorted((self._recorded(each) for each in self._steps.values()), key=_by_name)

    @property
    def verdicts(self) -> list[Step]:
        """Results of a refresh: recorded (`old`) and actual (`new`) values."""
        return sorted(self._verdicts.values(), key=_by_name)

    @property
    def unfinished(self) -> list[Step]:
        """Steps that have started but neither completed nor failed."""
        return list(self._open.values())

    def take(self, event: EngineEvent) -> None:
        if event.resource_pre_event is not None:
            self._begins(event.resource_pre_event.metadata)
        elif event.res_outputs_event is not None:
            self._ends(event.res_outputs_event.metadata)
        elif event.res_op_failed_event is not None:
            self._fails(event.res_op_failed_event.metadata)
        elif event.diagnostic_event is not None:
            self._diagnosed(event.diagnostic_event)

    def _recorded(self, step: Step) -> Step:
        """Turn "same" into "refresh" if the resource matches the program but not the record."""
        verdict = self._verdicts.get(step.urn)
        if step.op != "same" or verdict is None or verdict.op != "update":
            return step
        return replace(step, op="refresh", diff=verdict.diff)

    def _begins(self, metadata: StepEventMetadata) -> None:
        if metadata.op == "refresh":
            self._reading.add(metadata.urn)
        elif not _is_internal(metadata.urn):
            self._note(metadata)
            self._started(metadata)

    def _ends(self, metadata: StepEventMetadata) -> None:
        if metadata.urn in self._reading:
            self._reading.discard(metadata.urn)
            if not _is_internal(metadata.urn):
                self.is_record_outdated |= metadata.new is None or _has_drift(metadata)
                self._verdicts[metadata.urn] = _verdict(metadata, self._ignored.get(metadata.urn, ()))
        elif _type_of(metadata.urn) == _STACK:
            if metadata.new is not None and metadata.new.outputs:
                self.outputs = properties(metadata.new.outputs)
        elif not _is_internal(metadata.urn):
            self._note(metadata)
            self._ended(metadata)

    def _fails(self, metadata: StepEventMetadata) -> None:
        step = self._open.pop(metadata.urn, None) or self._steps.get(metadata.urn) or _step(metadata)
        if _is_internal(metadata.urn):
            return
        why = self._why(metadata.urn)
        if metadata.op in _CREATIONS and metadata.new is not None:
            self.failed_creations.append(FailedCreation(step, why, _resource(metadata.new)))
        self._on_step(step, "failed", why)

    def _note(self, metadata: StepEventMetadata) -> None:
        if metadata.op not in _HALVES:
            self._steps[metadata.urn] = _step(metadata, self._steps.get(metadata.urn))
        if metadata.op == "replace" and metadata.old and metadata.new:
            self.removed[metadata.urn] = set(metadata.old.inputs or ()) - set(metadata.new.inputs or ())

    def _started(self, metadata: StepEventMetadata) -> None:
        """A replacement starts with its first half, whichever that is."""
        step = self._steps.get(metadata.urn) or _step(metadata)
        if step.op != "same" and metadata.urn not in self._open:
            self._open[metadata.urn] = step
            self._on_step(step, "started", "")

    def _ended(self, metadata: StepEventMetadata) -> None:
        """A replacement ends with its second half."""
        if metadata.op == "replace":
            return
        if metadata.op in _HALVES and metadata.urn not in self._half_done:
            self._half_done.add(metadata.urn)
            return
        begun = self._open.pop(metadata.urn, None)
        if begun is not None:
            self._on_step(self._steps.get(metadata.urn, begun), "done", "")

    def finish(self) -> None:
        """Complete the open steps of a successful command: replacements whose old half the engine kept."""
        for urn, step in self._open.items():
            self._on_step(self._steps.get(urn, step), "done", "")
        self._open.clear()

    def _diagnosed(self, event: DiagnosticEvent) -> None:
        severity = {"info#err": "info"}.get(event.severity, event.severity)
        if severity in ("info", "warning", "error") and not event.ephemeral:
            self.problems.append(EngineProblem(severity, event.message.strip(), event.urn or ""))  # type: ignore[arg-type]

    def _why(self, urn: str) -> str:
        for problem in reversed(self.problems):
            if problem.urn == urn and problem.severity == "error":
                return problem.message
        return ""


def _step(metadata: StepEventMetadata, before: Step | None = None) -> Step:
    state = metadata.new or metadata.old
    operation: Operation = _OPERATIONS.get(metadata.op, "replace" if metadata.op in _HALVES else "update")
    known = metadata.old
    kept = tuple(_kept_differently(metadata)) if operation in ("same", "update") else ()
    return Step(
        urn=metadata.urn,
        op="update" if kept else operation,
        diff=(*_differences(metadata, operation), *kept) or (before.diff if before else ()),
        id=(state.id if state else "") or (known.id if known else "") or "",
        inputs=properties(state.inputs if state else None),
        outputs=_real(metadata.old, metadata.new if operation in ("create", "import", "same") else None),
        is_retained=bool(known and known.retain_on_delete),
    )


def _resource(state: StepEventStateMetadata) -> dict[str, Any]:
    known = {
        "urn": state.urn,
        "custom": True,
        "type": state.type,
        "inputs": state.inputs,
        "parent": state.parent,
        "provider": state.provider,
        "protect": state.protect,
        "retainOnDelete": state.retain_on_delete,
    }
    return {name: value for name, value in known.items() if value}


def _real(old: StepEventStateMetadata | None, new: StepEventStateMetadata | None) -> Mapping[str, Any]:
    for state in (new, old):
        if state is not None and state.outputs:
            return properties(state.outputs)
    return {}


def _verdict(metadata: StepEventMetadata, ignored: Sequence[str]) -> Step:
    """Return the drift: `old` is recorded, `new` is actual and absent for a deleted resource."""
    diff = [each for each in _detailed(metadata) if not any(is_within(each.path, path) for path in ignored)]
    operation: Operation = "same"
    if metadata.new is None:
        operation = "delete"
    elif _has_drift(metadata) and (diff or not ignored):
        operation = "update"
    state = metadata.new or metadata.old
    return Step(
        urn=metadata.urn,
        op=operation,
        diff=tuple(diff) if operation == "update" else (),
        id=(state.id if state else "") or "",
        inputs=properties(state.inputs if state else None),
        outputs=properties(metadata.new.outputs) if metadata.new is not None else {},
    )


def _has_drift(metadata: StepEventMetadata) -> bool:
    return bool(metadata.detailed_diff) or metadata.op == "update"


def _differences(metadata: StepEventMetadata, operation: Operation) -> Iterator[PropertyChange]:
    if operation in ("update", "replace"):
        yield from _detailed(metadata)
    elif operation == "create" and metadata.new is not None:
        for path, value in leaves(properties(metadata.new.inputs)):
            yield PropertyChange(path, None, value)


def _kept_differently(metadata: StepEventMetadata) -> Iterator[PropertyChange]:
    """Changed protection is not a property: the engine reports "same" and records the change."""
    old, new = metadata.old, metadata.new
    if old is None or new is None:
        return
    if bool(old.protect) != bool(new.protect):
        yield PropertyChange("protect", bool(old.protect), bool(new.protect))
    if bool(old.retain_on_delete) != bool(new.retain_on_delete):
        yield PropertyChange("retainOnDelete", bool(old.retain_on_delete), bool(new.retain_on_delete))


def _detailed(metadata: StepEventMetadata) -> Iterator[PropertyChange]:
    """Yield old and new values from the detailed diff; without one, for the properties that the provider names."""
    old_inputs, old_outputs = _both(metadata.old)
    new_inputs, new_outputs = _both(metadata.new)
    if metadata.detailed_diff:
        for path in sorted(metadata.detailed_diff):
            is_input = metadata.detailed_diff[path].input_diff
            old = at(old_inputs, path) if is_input else at(old_outputs, path)
            new = at(new_inputs, path)
            if old is None:  # not set: a service default, or an output
                old = at(old_outputs if is_input and path.isidentifier() else old_inputs, path)
            if new is None and metadata.detailed_diff[path].diff_kind not in ("delete", "delete-replace"):
                new = at(new_outputs, path)
            yield PropertyChange(path, old, new)
        return
    named = {*(metadata.diffs or ()), *(metadata.keys or ())}
    # A requested replacement has the reason "id", and the provider was not asked (step_generator.go, diff).
    for path in sorted(_differing(old_inputs, new_inputs) if named == {"id"} else named - {"id"}):
        yield PropertyChange(path, at(old_inputs, path), at(new_inputs, path))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """The paths of the properties that differ."""
    before, after = dict(leaves(old)), dict(leaves(new))
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def _both(state: StepEventStateMetadata | None) -> tuple[dict[str, Any], dict[str, Any]]:
    if state is None:
        return {}, {}
    return properties(state.inputs), properties(state.outputs)


def _by_name(step: Step) -> tuple[str, str]:
    return step.name, step.type


def _type_of(urn: str) -> str:
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 2 else ""


def _is_internal(urn: str) -> bool:
    return not urn or _type_of(urn).startswith(_INTERNAL)
