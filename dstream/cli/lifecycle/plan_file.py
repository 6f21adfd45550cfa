"""A plan as a file: written by `plan --out`, done by `init --plan` and `destroy --plan`, shown by `plan --show`.

It holds what was shown, the provider's own document of it, and digests of the output's settings, so that a file of
another configuration is noticed and named. Secret values have no digest: the provider notices what they lead to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

import dstream
from dstream.cli.lifecycle.answer import Answer
from dstream.config import Project, ProviderBlock
from dstream.errors import ConfigError, RefusedError, SystemFault
from dstream.host import LifecycleOutcome
from dstream.protocol.lifecycle import ListedResource
from dstream.redact import Redactor

SCHEMA_VERSION = 1
Command = Literal["init", "destroy"]
_HINT = "Make it anew: dstream plan TASK.. --out FILE"


class PlannedTask(msgspec.Struct, frozen=True):
    task: str
    provider: str
    settings: dict[str, str]
    """Path of a setting of the output -> digest of its value."""
    resources: list[ListedResource]
    message: str
    document: dict[str, Any]
    """The provider's, for `expect`."""
    where: str = ""


class PlanOptions(msgspec.Struct, frozen=True):
    """The flags that the plan was made with, and is to be carried out with."""

    target: list[str] = []
    refresh: bool = True
    import_: bool = msgspec.field(default=False, name="import")


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
        """As `plan` gave them."""
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
    """Raises ConfigError `plan.no_document` for a provider whose plan can't be recognised again."""
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
    """Whole or not at all, for this user only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    content = msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise SystemFault("plan.write_failed", f"can't write the plan to {path}: {error.strerror}") from error


def read_plan(path: Path) -> PlanFile:
    """Raises ConfigError `plan.unreadable`, `plan.invalid`, `plan.newer`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError("plan.unreadable", f"can't read the plan {path}: {error.strerror}", hint=_HINT) from error
    try:
        plan = msgspec.json.decode(content, type=PlanFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("plan.invalid", f"{path} is no plan of dstream: {error}", hint=_HINT) from error
    if plan.schema_version != SCHEMA_VERSION:
        raise ConfigError(
            "plan.newer", f"{path} was written by dstream {plan.dstream}, whose plans this version can't read"
        )
    return plan


def refuse_foreign(plan: PlanFile, path: Path, command: Command, project: Project, names: Sequence[str]) -> None:
    """Raises RefusedError `plan.foreign`: of another command or stack, or without one of the tasks."""
    known = [each.task for each in plan.tasks]
    missing = [name for name in names if name not in known]
    if plan.command != command:
        problem = f"is a plan of `dstream {plan.command}`"
    elif plan.stack != project.stack:
        problem = f'is of the stack "{plan.stack}"; this is "{project.stack}"'
    elif missing:
        problem = f"has no plan of {', '.join(missing)}; it has {', '.join(known) or 'none'}"
    else:
        return
    raise RefusedError("plan.foreign", f"{path} {problem}", hint=_HINT)


def refuse_moved(plan: PlanFile, project: Project, names: Sequence[str]) -> None:
    """Raises RefusedError `plan.stale`: the output's settings are no longer those that the plan was made from."""
    moved = []
    for each in plan.tasks:
        if each.task in names:
            now = _settings(project.tasks[each.task].output)
            paths = [path for path in {**each.settings, **now} if each.settings.get(path) != now.get(path)]
            moved += [f"{each.task}: {', '.join(paths)}"] if paths else []
    if moved:
        raise RefusedError(
            "plan.stale",
            f"the configuration moved since the plan was made ({plan.created}): {'; '.join(moved)}",
            hint="Look at what would be done now: dstream plan " + " ".join(names),
        )


def _planned(block: ProviderBlock, answer: Answer) -> PlannedTask:
    document = answer.outcome.plan if answer.outcome else None
    if not document:
        raise ConfigError(
            "plan.no_document",
            f"{answer.provider} gives no document of its plan: nothing could hold `dstream init` to such a file",
            place=block.place,
            hint="Without a file, `dstream init` shows the plan and asks.",
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
    """Secrets are masked before: a short one could be found from its digest."""
    config = Redactor(secrets=block.secrets, configs=(block.config,)).value(dict(block.config))
    return {"provider": _digest(block.label), **{path: _digest(value) for path, value in _leaves(config, "")}}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Settings inside of objects, by their path; an empty object, and a list, are values of their own."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else str(name))
    else:
        yield path or "config", value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
