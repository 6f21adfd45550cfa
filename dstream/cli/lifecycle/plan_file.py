"""Plan files: written by `plan --out`, applied by `init --plan` and `destroy --plan`, shown by `plan --show`.

A plan file holds the plan, the provider's own plan document, and digests of the output's settings, so that a changed
configuration is detected. Secret values have no digest; the provider detects their effects.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

import dstream
from dstream.cli.view.answer import Answer
from dstream.config import Project, ProviderBlock
from dstream.errors import ConfigError, RefusedError, SystemFault
from dstream.host import LifecycleOutcome
from dstream.private_files import replace_private
from dstream.protocol.lifecycle import LifecycleOptions, ListedResource
from dstream.redact import Redactor

SCHEMA_VERSION = 1
Command = Literal["init", "destroy"]
_HINT = "Re-create it: dstream plan TASK... --out FILE"


class PlannedTask(msgspec.Struct, frozen=True):
    task: str
    provider: str
    settings: dict[str, str]
    """Setting path in the output block -> digest of its value."""
    resources: list[ListedResource]
    message: str
    document: dict[str, Any]
    """The provider's plan document, for `expect`."""
    where: str = ""


class PlanOptions(msgspec.Struct, frozen=True):
    """The flags that the plan was made with and must be applied with."""

    target: list[str] = []
    refresh: bool = True
    import_: bool = msgspec.field(default=False, name="import")
    all_tasks: bool = False
    exclude: list[str] = []
    replace: list[str] = []
    target_dependents: bool = False

    @classmethod
    def of(cls, options: LifecycleOptions, *, all_tasks: bool) -> PlanOptions:
        same = {name: getattr(options, name) for name in cls.__struct_fields__ if name != "all_tasks"}
        return cls(**same, all_tasks=all_tasks)


class PlanFile(msgspec.Struct, frozen=True):
    schema_version: int
    kind: Literal["dstream.plan"]
    created: str
    dstream: str
    stack: str
    command: Command
    options: PlanOptions
    tasks: list[PlannedTask]

    def answers(self, names: Sequence[str] | None = None) -> list[Answer]:
        """Return the answers of `plan`, for these tasks or all."""
        return [
            Answer(
                each.task,
                each.provider,
                outcome=LifecycleOutcome(
                    each.provider,
                    resources=each.resources,
                    plan=each.document,
                    where=each.where,
                    message=each.message,
                ),
            )
            for each in self.tasks
            if names is None or each.task in names
        ]


def planned(project: Project, command: Command, options: PlanOptions, answers: Sequence[Answer]) -> PlanFile:
    """Return the plan file. Raises ConfigError `plan.no_document` if a provider returned no plan document."""
    return PlanFile(
        SCHEMA_VERSION,
        "dstream.plan",
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        dstream.__version__,
        project.stack,
        command,
        options,
        [_planned(project.tasks[each.task].output, each) for each in answers if not each.has_no_infrastructure],
    )


def write_plan(path: Path, plan: PlanFile) -> None:
    """Write the file atomically, readable by this user only."""
    content = msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"
    try:
        replace_private(path, content)
    except OSError as error:
        raise SystemFault("plan.write_failed", f"cannot write the plan to {path}: {error.strerror}") from error


def read_plan(path: Path) -> PlanFile:
    """Read a plan file. Raises ConfigError `plan.unreadable`, `plan.invalid`, `plan.newer`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError("plan.unreadable", f"cannot read the plan {path}: {error.strerror}", hint=_HINT) from error
    try:
        plan = msgspec.json.decode(content, type=PlanFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("plan.invalid", f"{path} is not a DStream plan file: {error}", hint=_HINT) from error
    if plan.schema_version != SCHEMA_VERSION:
        raise ConfigError(
            "plan.newer", f"{path} was written by DStream {plan.dstream}; this version cannot read its plan files"
        )
    return plan


def refuse_foreign(
    plan: PlanFile, path: Path, command: Command, project: Project, names: Sequence[str], again: Sequence[str]
) -> None:
    """Raise RefusedError `plan.foreign` for a plan of a different command or stack, or one that lacks a task."""
    known = [each.task for each in plan.tasks]
    missing = [name for name in names if name not in known]
    if plan.command != command:
        problem = f"is a plan for `dstream {plan.command}`"
    elif plan.stack != project.stack:
        problem = f'belongs to stack "{plan.stack}"; the current stack is "{project.stack}"'
    elif missing:
        problem = f"has no plan for {', '.join(missing)}; its tasks: {', '.join(known) or 'none'}"
    else:
        return
    planned_with = [
        "dstream",
        "plan",
        *_chosen(plan, names),
        *["--destroy"] * (command == "destroy"),
        "--out",
        shlex.quote(str(path)),
    ]
    raise RefusedError("plan.foreign", f"{path} {problem}", hint=f"Re-create it: {' '.join([*planned_with, *again])}")


def refuse_moved(plan: PlanFile, project: Project, names: Sequence[str], again: Sequence[str]) -> None:
    """Raise RefusedError `plan.stale` if the output's settings have changed since the plan was made."""
    moved = []
    for each in plan.tasks:
        if each.task in names:
            now = _settings(project.tasks[each.task].output)
            paths = [path for path in {**each.settings, **now} if each.settings.get(path) != now.get(path)]
            moved += [f"{each.task}: {', '.join(paths)}"] if paths else []
    if moved:
        raise RefusedError(
            "plan.stale",
            f"the configuration has changed since the plan was made ({plan.created}): {'; '.join(moved)}",
            hint="Review the current plan: " + " ".join(["dstream", "plan", *_chosen(plan, names), *again]),
        )


def _chosen(plan: PlanFile, names: Sequence[str]) -> Sequence[str]:
    """Return the arguments of `plan` that choose these tasks."""
    return ["--all"] if plan.options.all_tasks and set(names) >= {each.task for each in plan.tasks} else names


def _planned(block: ProviderBlock, answer: Answer) -> PlannedTask:
    document = answer.outcome.plan if answer.outcome else None
    if not document:
        raise ConfigError(
            "plan.no_document",
            f"{answer.provider} returns no plan document, so a saved plan could not be enforced",
            place=block.place,
            hint="Run `dstream init` without a plan file; it shows the plan and asks for confirmation.",
        )
    return PlannedTask(
        answer.task,
        answer.provider,
        _settings(block),
        list(answer.resources),
        answer.message,
        dict(document),
        answer.where,
    )


def _settings(block: ProviderBlock) -> dict[str, str]:
    """Return digests of the settings. Secrets are masked first, since a short one could be guessed from its digest."""
    config = Redactor(secrets=block.secrets, configs=(block.config,)).value(dict(block.config))
    return {"provider": _digest(block.label), **{path: _digest(value) for path, value in _leaves(config, "")}}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield settings with their paths, including those inside objects; empty objects and lists count as values."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else str(name))
    else:
        yield path or "config", value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
