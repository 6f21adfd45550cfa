"""Plan files: written by `plan --out`, applied by `init --plan` and `destroy --plan`, shown by `plan --show`.

A plan file holds the plan, the provider's own plan document, and digests of the output's settings, so that a changed
configuration is detected. Secret values have no digest; the provider detects their effects. A seal covers all of it
(plan_seal.py), and a signature if there is one (plan_signature.py).
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

import dstream
from dstream.cli.lifecycle.plan_fields import differences
from dstream.cli.lifecycle.plan_seal import DIGEST, FINGERPRINTS, SIGNATURE, altered_fields, content_of, sealed
from dstream.cli.lifecycle.plan_signature import PlanSignature, sign, verify
from dstream.cli.view.answer import Answer
from dstream.cli.view.words import few
from dstream.config import Project, ProviderBlock
from dstream.errors import ConfigError, RefusedError, SystemFault
from dstream.host import LifecycleOutcome
from dstream.private_files import replace_private
from dstream.protocol.lifecycle import LifecycleOptions, ListedResource
from dstream.redact import Redactor

SCHEMA_VERSION = 2
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


class _Signed(msgspec.Struct, frozen=True):
    signature: PlanSignature | None


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


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan file as read or written."""

    path: Path
    plan: PlanFile
    digest: str
    signature: PlanSignature | None
    is_verified: bool
    """Whether it is signed with the key that the user trusts."""

    @property
    def seal(self) -> str:
        """'digest 5f0a.., signed with the key 8c1d.. (verified)'"""
        if self.signature is None:
            return f"digest {self.digest}, not signed"
        state = "verified" if self.is_verified else "not verified"
        return f"digest {self.digest}, signed with the key {self.signature.short_key} ({state})"

    def document(self) -> dict[str, Any]:
        """The `--json` form (docs/reference/cli-json.md)."""
        signature = {"key": self.signature.key, "verified": self.is_verified} if self.signature else None
        return {"digest": self.digest, "signature": signature}


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
        [planned_task(project.tasks[each.task].output, each) for each in answers if not each.has_no_infrastructure],
    )


def write_plan(path: Path, plan: PlanFile, private_key: Path | None = None) -> SavedPlan:
    """Write the file atomically, readable by this user only. Raises SystemFault `plan.write_failed` and what `sign`
    raises.
    """
    document = sealed(as_json(plan))
    signature = sign(content_of(document), private_key) if private_key else None
    if signature:
        document[SIGNATURE] = as_json(signature)
    try:
        replace_private(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise SystemFault("plan.write_failed", f"cannot write the plan to {path}: {error.strerror}") from error
    return SavedPlan(path, plan, document[DIGEST], signature, is_verified=signature is not None)


def read_plan(path: Path, public_key: Path | None = None) -> SavedPlan:
    """Read a plan file, and verify its signature if there is a `public_key`.

    Raises ConfigError `plan.unreadable`, `plan.invalid`, `plan.newer`, `plan.outdated`, RefusedError `plan.altered`,
    and what `verify` raises.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError("plan.unreadable", f"cannot read the plan {path}: {error.strerror}", hint=_HINT) from error
    try:
        document = json.loads(content.decode(), object_pairs_hook=_without_duplicates)
        _refuse_other_format(document, path)
        altered = altered_fields(document)
        if altered:
            raise RefusedError(
                "plan.altered", f"{path} was changed after it was made: {few(altered, ', ')}", hint=_HINT
            )
        signature = msgspec.convert({SIGNATURE: document.pop(SIGNATURE, None)}, _Signed).signature
        digest = document.pop(DIGEST)
        del document[FINGERPRINTS]
        plan = msgspec.convert(document, PlanFile)
        other = [each.path for each in differences(document, as_json(plan))]
        if other:
            raise ValueError(f"unknown or missing field: {few(other, ', ')}")
        if len({each.task for each in plan.tasks}) < len(plan.tasks):
            raise ValueError("tasks: the same task twice")
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise ConfigError("plan.invalid", f"{path} is not a DStream plan file: {error}", hint=_HINT) from error
    if public_key:
        verify(content_of(document), signature, public_key, path)
    return SavedPlan(path, plan, digest, signature, is_verified=public_key is not None)


def as_json(value: Any) -> Any:
    """Return the value as it is in a plan file."""
    return json.loads(msgspec.json.encode(value))


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
            hint=f"Review the current plan: {review(plan, names, again)}",
        )


def _refuse_other_format(document: Any, path: Path) -> None:
    if not isinstance(document, dict) or document.get("kind") != "dstream.plan":
        raise ValueError('its kind is not "dstream.plan"')
    version = document.get("schema_version")
    if not isinstance(version, int):
        raise ValueError("schema_version is not a number")
    missing = [name for name in PlanFile.__struct_encode_fields__ if name not in document]
    if version < SCHEMA_VERSION:
        raise ConfigError(
            "plan.outdated",
            f"{path} was written by an older DStream (schema_version {version}), whose plan files have no digest",
            hint=_HINT,
        )
    if version > SCHEMA_VERSION:
        raise ConfigError(
            "plan.newer",
            f"{path} was written by DStream {document.get('dstream')} (schema_version {version}); this version cannot "
            "read its plan files",
            hint="Apply it with that version, or make the plan again with this one.",
        )
    if missing:
        raise ValueError(f"missing field: {', '.join(missing)}")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what JSON parsers read differently: a person may see one value, and DStream use the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)}")
    return found


def review(plan: PlanFile, names: Sequence[str], again: Sequence[str]) -> str:
    """Return the command that shows the current plan of these tasks."""
    return " ".join(["dstream", "plan", *_chosen(plan, names), *again])


def _chosen(plan: PlanFile, names: Sequence[str]) -> Sequence[str]:
    """Return the arguments of `plan` that choose these tasks."""
    return ["--all"] if plan.options.all_tasks and set(names) >= {each.task for each in plan.tasks} else names


def planned_task(block: ProviderBlock, answer: Answer) -> PlannedTask:
    """Return what a plan file says of this task. Raises ConfigError `plan.no_document`."""
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
