"""`dstream validate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import click

from dstream.cli.checking import Checkable, problems_in
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, spec_of
from dstream.cli.view.words import plural
from dstream.config import Project, ProviderBlock, Task
from dstream.config.blocks.complaints import Complaints
from dstream.config.schema.fit import fitted
from dstream.config.untrusted import budget
from dstream.errors import ConfigErrors
from dstream.host.provider.describe import Introduction
from dstream.host.provider.failures import no_transforms
from dstream.host.provider.introductions import Introductions
from dstream.host.provider.secret_settings import secret_values
from dstream.protocol.transforms import CAPABILITY
from dstream.redact import Redactor
from dstream.shown import shown


@dataclass(frozen=True, slots=True)
class _Unchecked:
    """A config that only its provider can check, at run time."""

    task: str
    role: str
    provider: str
    reason: str


@click.command(epilog="\b\nExamples:\n  dstream validate -c dstream.hcl\n  dstream validate --static")
@click.option("--static", is_flag=True, help="Start no provider; check the file but not the configs of providers.")
@with_options
def validate(options: Options, static: bool) -> None:
    """Check the file, its references, provider roles and provider configs, and report every error.

    Providers start only to describe themselves and their settings; nothing connects to a server. With --static, nothing
    starts, and reading the file may take 4 s of CPU time and 192 MiB of memory.
    """
    with budget(options.config_path) if static else nullcontext():
        project = _loaded(options)
    complaints = Complaints()
    for error in project.unset:
        complaints.add(error)
    for task in project.tasks.values():
        for transform in task.transforms:
            for error in transform.unset:
                complaints.add(error)
        for block in task.providers:
            for error in block.unset.values():
                complaints.add(error)
    for block in project.deployments.values():
        for error in block.unset.values():
            complaints.add(error)
    if static:
        unchecked = _unchecked_statically(project)
    else:
        unchecked = checked_by_providers(project, [*project.tasks.values(), *_deployments(project)], complaints)
    complaints.raise_if_any()
    if options.as_json:
        listed = [
            {"task": each.task, "role": each.role, "provider": each.provider, "reason": each.reason}
            for each in unchecked
        ]
        kinds = {task.name: [each.kind for each in task.transforms] for task in project.tasks.values()}
        document = {
            "schema_version": 1,
            "valid": True,
            "tasks": list(project.tasks),
            "deployments": list(project.deployments),
            "transforms": {name: each for name, each in kinds.items() if each},
            "unchecked": listed,
        }
        click.echo(json.dumps(document))
        return
    deployed = f" and {plural(len(project.deployments), 'deployment')}" if project.deployments else ""
    click.echo(f"{project.path}: {plural(len(project.tasks), 'task')}{deployed}, no errors.")
    if static:
        click.echo("  The configs of providers are not checked: --static starts no provider.")
    for task in project.tasks.values():
        provider = [task.transform.label] if task.transform else []
        if transforms := [*provider, *(each.kind for each in task.transforms)]:
            click.echo(f'  task "{task.name}" transforms rows: {", ".join(transforms)}')
    for each in () if static else unchecked:
        kind = "deployment" if each.task in project.deployments else "task"
        click.echo(
            f'  {kind} "{each.task}", {each.role}: the config of {each.provider} is not checked: {shown(each.reason)}'
        )


def _deployments(project: Project) -> list[Task]:
    """The deployments as tasks whose only provider they are."""
    return [Task(name, "deployment", block, block, block.place) for name, block in project.deployments.items()]


def _blocks(task: Task) -> Sequence[ProviderBlock]:
    return (task.output,) if task.input is task.output else task.providers


def _unchecked_statically(project: Project) -> list[_Unchecked]:
    reason = "--static starts no provider"
    return [
        _Unchecked(task.name, block.role, block.label, reason)
        for task in project.tasks.values()
        for block in task.providers
    ]


def checked_by_providers(project: Project, tasks: Sequence[Task], complaints: Complaints) -> list[_Unchecked]:
    """Add what the providers of these tasks complain about. Return what they cannot check."""
    unchecked: list[_Unchecked] = []
    checkable: list[Checkable] = []
    asked: list[tuple[Task, ProviderBlock, Callable[[], Introduction]]] = []
    with Introductions(project.folder) as introductions:
        for task in tasks:
            for block in _blocks(task):
                with complaints.collecting():
                    spec = spec_of(block, project, only_describes=True)
                    answer = introductions.ask(spec, block.role, timeout_s=task.start_timeout_s)
                    asked.append((task, block, answer))
        for task, block, answer in asked:
            with complaints.collecting():
                found = answer()
                _check_transforms(task, block, found)
                reason = _check(block, found) or _unread(block)
                if not reason and not block.unset and found.hello and "check" in found.hello.capabilities:
                    checkable.append(Checkable(task, block, _fitted(block, found)))
                if reason:
                    unchecked.append(_Unchecked(task.name, block.role, block.label, reason))
    for error in problems_in(project, checkable):
        complaints.add(error)
    return unchecked


def _loaded(options: Options) -> Project:
    """Load the project. Unset environment variables alone do not keep the other settings from being checked."""
    try:
        return load_project(options, deployments=None, ask_vaults=False, defer_unset=True)
    except ConfigErrors:
        return load_project(options, deployments=None, ask_vaults=False)  # raises with the unset variables, too


def _check_transforms(task: Task, block: ProviderBlock, found: Introduction) -> None:
    """Raise ConfigError if the task has transforms and this is its output, which does not support them."""
    if block.role != "output" or not task.transforms:
        return
    hello = found.hello
    if hello is None or CAPABILITY not in hello.capabilities:
        name = hello.name if hello else block.label
        raise no_transforms(name, task.transforms[0].place)


def _check(block: ProviderBlock, found: Introduction) -> str:
    """Return why the config was not checked, or "". Raises ConfigErrors for an invalid config."""
    if found.hello is None:
        return "a legacy provider cannot describe its settings"
    if found.description is None:
        can = "describe" in found.hello.capabilities
        return "it did not answer describe" if can else "it does not describe its settings"
    schema = found.description.config_schema
    try:
        fitted(block, schema)
    except ConfigErrors as errors:
        Redactor(secrets=secret_values(block.config, schema)).error(errors)
        raise
    return ""


def _fitted(block: ProviderBlock, found: Introduction) -> Mapping[str, Any]:
    return fitted(block, found.description.config_schema) if found.description else block.config


def _unread(block: ProviderBlock) -> str:
    """Return which settings have no value yet, or ""."""
    if not block.unread:
        return ""
    what = ", ".join(sorted(block.unread)) if "" not in block.unread else "all of it"
    return f"{what} depends on a key vault, which is read only at run time"
