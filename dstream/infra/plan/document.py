"""A plan as a document: what was shown, kept so that nothing else can be done. Pure; JSON; no secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dstream.errors import ConfigError, RefusedError
from dstream.infra.plan.step import Step
from dstream.infra.plan.values import UNKNOWN, shown
from dstream.sdk import Difference

_VERSION = 1
_LEFT_TO_DO: Mapping[str, Collection[str]] = {"create": ("update", "import"), "replace": ("create", "update", "import")}
"""What may be left of a step that a killed command had begun."""
_NO_CHANGE = ("same", "refresh")
"""Of the resource: a refresh only records what it is."""
_MOST = 5
"""How many differences an error names."""


class ShownStep(msgspec.Struct, frozen=True):
    """One change that was shown."""

    urn: str
    op: str
    diff: list[Difference] = []

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


class PlanDocument(msgspec.Struct, frozen=True):
    """What `plan` showed, and what it was made from."""

    version: int
    engine: str
    spec: str
    """Hash of what the program is made from."""
    state: str
    """Hash of the recorded inputs and ids; empty: nothing was recorded."""
    steps: list[ShownStep]
    """Changes only."""
    destroy: bool = False


def plan_document(
    steps: Sequence[Step], *, spec: Mapping[str, Any], state: str, engine: str, destroy: bool
) -> dict[str, Any]:
    """As `Plan.document` carries it."""
    shown = [ShownStep(each.urn, each.op, list(each.diff)) for each in steps if each.op != "same"]
    document = PlanDocument(_VERSION, engine, digest(spec), state, shown, destroy)
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


def read_document(expect: Mapping[str, Any]) -> PlanDocument:
    """Raises ConfigError `infra.bad_plan`."""
    try:
        document = msgspec.convert(expect, PlanDocument)
    except msgspec.ValidationError as error:
        raise ConfigError(
            "infra.bad_plan", f"this is no plan of this provider: {error}", hint="Run `dstream plan` again."
        ) from error
    if document.version != _VERSION:
        raise ConfigError(
            "infra.bad_plan",
            f"the plan has the form {document.version}, and this version reads {_VERSION}",
            hint="Run `dstream plan` again.",
        )
    return document


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
    """Refuse what was not shown; `exact`: refuse also when anything that the plan was made from has moved.

    `looked_up`: URNs that a killed command was at work on when the plan was made. It could not tell whether they are
    still to be created: they may as well be there, or be there and need an update. What was being replaced may have
    taken along what is below it.

    Raises RefusedError `infra.stale_plan`, which says what moved.
    """
    if expected.destroy != destroy:
        raise _stale([f"it shows what {'destroy' if expected.destroy else 'init'} would do"])
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
    """Of the same content, the same; whatever the order of its keys."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _moved(expected: PlanDocument, spec: Mapping[str, Any], state: str, engine: str) -> Iterator[str]:
    if expected.spec != digest(spec):
        yield "the configuration was changed"
    if expected.state != state:
        yield "what is recorded was changed by another init or destroy"
    if _minor(expected.engine) != _minor(engine):
        yield f"the engine was {expected.engine}, now it is {engine}"


def _not_shown(expected: PlanDocument, steps: Sequence[Step]) -> Iterator[str]:
    shown = {each.urn: each for each in expected.steps}
    for step in steps:
        if step.op in _NO_CHANGE:
            continue
        was = shown.get(step.urn)
        if was is None:
            yield f"{step.name}: {step.op}{_of(step)} was not shown"
        elif was.op != step.op:
            yield f"{step.name}: shown {was.op}, now {step.op}"
        else:
            yield from _other_values(step, {each.path: each for each in was.diff})


def _other_values(step: Step, shown: Mapping[str, Difference]) -> Iterator[str]:
    for each in step.diff:
        was = shown.get(each.path)
        if was is None:
            yield f"{step.name} {each.path}: {_change(each)} was not shown"
        elif UNKNOWN not in (was.old, was.new) and _plain((was.old, was.new)) != _plain((each.old, each.new)):
            yield f"{step.name} {each.path}: shown {_change(was)}, now {_change(each)}"


def _missing(expected: PlanDocument, steps: Sequence[Step], begun: Collection[str]) -> Iterator[str]:
    """What was shown, and is not to be done any more."""
    now = {each.urn: each for each in steps if each.op not in _NO_CHANGE}
    for was in expected.steps:
        if was.urn in begun or was.op in _NO_CHANGE:
            continue
        step = now.get(was.urn)
        if step is None:
            yield f"{was.name}: {was.op} was shown, and there is nothing to do"
            continue
        paths = {each.path for each in step.diff}
        for each in was.diff:
            if each.path not in paths:
                yield f"{was.name} {each.path}: {_change(each)} was shown, and there is nothing to do"


def _stale(moved: Sequence[str]) -> RefusedError:
    named = "; ".join(moved[:_MOST])
    more = f"; and {len(moved) - _MOST} more" if len(moved) > _MOST else ""
    return RefusedError(
        "infra.stale_plan",
        f"this is not what the plan showed: {named}{more}",
        hint="Nothing was changed. Look at it again with `dstream plan`.",
    )


def _of(step: Step) -> str:
    return f" ({', '.join(each.path for each in step.diff[:_MOST])})" if step.op == "update" and step.diff else ""


def _change(each: Difference) -> str:
    return f"{_text(each.old)} → {_text(each.new)}"


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _plain(value: Any) -> str:
    """1 and 1.0 are the same number in a file."""
    return json.dumps(shown(value), sort_keys=True, default=str)


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
