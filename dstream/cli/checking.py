"""What only a provider can tell about configs: settings that do not fit each other, and what two tasks both declare."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dstream.cli.project import spec_of
from dstream.config import Project, ProviderBlock, Task
from dstream.errors import ConfigError
from dstream.host import ProviderSpec, check_configs
from dstream.protocol.messages import CheckedConfig, ConfigClaim
from dstream.redact import Redactor


@dataclass(frozen=True, slots=True)
class Checkable:
    """A block whose provider has the capability `check`, with its complete config."""

    task: Task
    block: ProviderBlock
    config: Mapping[str, Any]


def problems_in(
    project: Project, blocks: Sequence[Checkable], *, only_claims: bool = False, of: Collection[str] = ()
) -> list[ConfigError]:
    """Return what the providers refuse. Each executable starts once and connects to nothing.

    `only_claims`: only what several tasks declare, if one of the tasks `of` is among them.
    """
    groups: dict[object, tuple[ProviderSpec, list[Checkable]]] = {}
    for each in blocks:
        spec = spec_of(each.block, project, only_describes=True)
        groups.setdefault(spec.program, (spec, []))[1].append(each)
    found: list[ConfigError] = []
    for spec, group in groups.values():
        first = group[0]
        configs = [dict(each.config) for each in group]
        checked = check_configs(
            spec,
            first.block.role,
            configs,
            cwd=project.folder,
            timeout_s=first.task.start_timeout_s,
        )
        found += [
            error
            for tasks, error in _problems(group, checked, only_claims)
            if not of or any(task in of for task in tasks)
        ]
    return found


def _problems(
    group: Sequence[Checkable], checked: Sequence[CheckedConfig], only_claims: bool
) -> list[tuple[Sequence[str], ConfigError]]:
    """Return each problem with the names of its tasks."""
    found: list[tuple[Sequence[str], ConfigError]] = []
    owners: dict[str, Task] = {}
    for each, answer in zip(group, checked, strict=False):
        if not only_claims:
            redactor = Redactor(secrets=each.block.secrets, configs=(each.block.config,))
            for problem in answer.problems:
                error = ConfigError(
                    problem.code,
                    redactor.text(problem.message),
                    hint=redactor.text(problem.hint),
                    place=each.block.place_of(problem.config_path),
                )
                found.append(([each.task.name], error))
        for claim in answer.claims:
            owner = owners.setdefault(claim.id, each.task)
            if owner is not each.task:
                found.append(([owner.name, each.task.name], _declared_twice(claim, owner, each)))
    return found


def _declared_twice(claim: ConfigClaim, owner: Task, second: Checkable) -> ConfigError:
    return ConfigError(
        "task.declared_twice",
        f'task "{second.task.name}" declares {claim.name}, and so does task "{owner.name}"',
        hint="Only one task can create, change and delete it: use another name, or keep the infrastructure settings in "
        "one of the tasks only.",
        place=second.block.place_of(claim.config_path),
    )
