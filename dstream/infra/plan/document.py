"""A plan as a JSON document without secrets, and the check that a change matches it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dstream.errors import ConfigError, RefusedError
from dstream.infra.plan.step import PropertyChange, Step
from dstream.infra.plan.values import UNKNOWN, shown

_VERSION = 1
_LEFT_TO_DO: Mapping[str, Collection[str]] = {"create": ("update", "import"), "replace": ("create", "update", "import")}
"""The steps that may remain of a step that an interrupted command had started."""
_NO_CHANGE = ("same", "refresh")
"""A refresh changes the record only."""
_MOST = 5
"""Maximum number of differences listed in an error."""


class ShownStep(msgspec.Struct, frozen=True):
    """One previewed change."""

    urn: str
    op: str
    diff: list[PropertyChange] = []

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


class UpdatePlan(msgspec.Struct, frozen=True):
    """The engine's own plan of the same preview, kept for an `init` that follows at once."""

    digest: str
    refresh: bool
    """Whether the update reads the actual resources again: they have drifted from the record."""


class PlanDocument(msgspec.Struct, frozen=True):
    """The steps that `plan` showed, and the inputs they were computed from."""

    version: int
    engine: str
    spec: str
    """Hash of the definition's spec."""
    state: str
    """Hash of the recorded inputs and ids; empty without a record."""
    steps: list[ShownStep]
    """Changes only."""
    destroy: bool = False
    update_plan: UpdatePlan | None = None


def plan_document(
    steps: Sequence[Step],
    *,
    spec: Mapping[str, Any],
    state: str,
    engine: str,
    destroy: bool,
    update_plan: UpdatePlan | None = None,
) -> dict[str, Any]:
    """Return the content of `Plan.document`."""
    shown = [ShownStep(each.urn, each.op, list(each.diff)) for each in steps if each.op != "same"]
    document = PlanDocument(_VERSION, engine, digest(spec), state, shown, destroy, update_plan)
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


def read_document(expect: Mapping[str, Any]) -> PlanDocument:
    """Decode a plan document. Raises ConfigError `infra.bad_plan`."""
    try:
        document = msgspec.convert(expect, PlanDocument)
    except msgspec.ValidationError as error:
        raise ConfigError(
            "infra.bad_plan", f"not a plan of this provider: {error}", hint="Run `dstream plan` again."
        ) from error
    if document.version != _VERSION:
        raise ConfigError(
            "infra.bad_plan",
            f"the plan has format {document.version}; this version reads format {_VERSION}",
            hint="Run `dstream plan` again.",
        )
    return document


def is_current(plan: PlanDocument, *, spec: Mapping[str, Any], state: str, engine: str) -> bool:
    """Return whether what the plan is based on is unchanged, except for the actual resources."""
    return not any(_moved(plan, spec, state, engine))


def check(
    expected: PlanDocument,
    steps: Sequence[Step],
    *,
    spec: Mapping[str, Any],
    state: str,
    engine: str,
    destroy: bool,
    exact: bool,
    looked_up: Collection[str] = (),
) -> None:
    """Refuse steps that were not in the plan; with `exact`, also if anything the plan was based on has changed.

    `looked_up`: URNs of steps pending from an interrupted command. The plan could not know their outcome: a planned
    creation may already exist or need an update, and an interrupted replacement may have deleted its children.

    Raises RefusedError `plan.stale`, which lists the differences.
    """
    if expected.destroy != destroy:
        raise _stale([f"it is a plan for {'destroy' if expected.destroy else 'init'}"])
    moved = list(_moved(expected, spec, state, engine)) if exact else []
    begun = {
        each.urn: _LEFT_TO_DO[each.op]
        for each in expected.steps
        if (each.op == "create" and each.urn in looked_up) or (each.op == "replace" and looked_up)
    }
    moved += _not_shown(expected, [each for each in steps if each.op not in begun.get(each.urn, ())])
    if exact:
        moved += _missing(expected, steps, begun)
    if moved:
        raise _stale(moved)


def digest(spec: Mapping[str, Any]) -> str:
    """Return a hash of the content that does not depend on the order of keys."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _moved(expected: PlanDocument, spec: Mapping[str, Any], state: str, engine: str) -> Iterator[str]:
    if expected.spec != digest(spec):
        yield "the configuration has changed"
    if expected.state != state:
        yield "another init or destroy has changed the record"
    if _minor(expected.engine) != _minor(engine):
        yield f"the engine was {expected.engine}, now it is {engine}"


def _not_shown(expected: PlanDocument, steps: Sequence[Step]) -> Iterator[str]:
    shown = {each.urn: each for each in expected.steps}
    for step in steps:
        if step.op in _NO_CHANGE:
            continue
        was = shown.get(step.urn)
        if was is None:
            yield f"{step.name}: {step.op}{_of(step)} was not planned"
        elif was.op != step.op:
            yield f"{step.name}: planned {was.op}, now {step.op}"
        else:
            yield from _other_values(step, {each.path: each for each in was.diff})


def _other_values(step: Step, shown: Mapping[str, PropertyChange]) -> Iterator[str]:
    for each in step.diff:
        was = shown.get(each.path)
        if was is None:
            yield f"{step.name} {each.path}: {_change(each)} was not planned"
        elif UNKNOWN not in (was.old, was.new) and _plain((was.old, was.new)) != _plain((each.old, each.new)):
            yield f"{step.name} {each.path}: planned {_change(was)}, now {_change(each)}"


def _missing(expected: PlanDocument, steps: Sequence[Step], begun: Collection[str]) -> Iterator[str]:
    """Planned changes that are no longer needed."""
    now = {each.urn: each for each in steps if each.op not in _NO_CHANGE}
    for was in expected.steps:
        if was.urn in begun or was.op in _NO_CHANGE:
            continue
        step = now.get(was.urn)
        if step is None:
            yield f"{was.name}: planned {was.op} is no longer needed"
            continue
        paths = {each.path for each in step.diff}
        for each in was.diff:
            if each.path not in paths:
                yield f"{was.name} {each.path}: planned {_change(each)} is no longer needed"


def _stale(moved: Sequence[str]) -> RefusedError:
    named = "; ".join(moved[:_MOST])
    more = f"; and {len(moved) - _MOST} more" if len(moved) > _MOST else ""
    return RefusedError(
        "plan.stale",
        f"the actual changes differ from the plan: {named}{more}",
        hint="Nothing was changed. Run `dstream plan` again and review the result.",
    )


def _of(step: Step) -> str:
    return f" ({', '.join(each.path for each in step.diff[:_MOST])})" if step.op == "update" and step.diff else ""


def _change(each: PropertyChange) -> str:
    return f"{_text(each.old)} → {_text(each.new)}"


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _plain(value: Any) -> str:
    """Return a form in which 1 and 1.0 are equal, as in saved plans."""
    return json.dumps(shown(value), sort_keys=True, default=str)


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
