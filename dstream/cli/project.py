"""Loads the project and finds its tasks, from a command's options."""

from __future__ import annotations

import difflib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Collection
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote, unquote

from dstream.cli.options import Options
from dstream.cli.pulling import PullProgress
from dstream.config import Project, ProviderBlock, Role, Task, load
from dstream.config.model import ROLES
from dstream.config.schema.fit import fitted
from dstream.errors import ConfigError, RefusedError, SourceLocation
from dstream.host import ProviderSpec
from dstream.plugins import (
    from_reference,
    limited_environment,
    refuse_unlisted,
    refuse_untrusted_reference,
    resolve,
)
from dstream.protocol.messages import Infrastructure
from dstream.redact import is_secret_name

_WORK_DIR = ".dstream/infra"
_OF_DEPLOYMENT = "//"
_FEW = 10
_making = threading.Lock()
_TRANSFORM_PATH = re.compile(r"transform\[(?P<index>\d+)\](?:\.(?P<attribute>\w+))?")


def load_project(
    options: Options,
    *,
    only: Collection[str] | None = None,
    roles: Collection[Role] = ROLES,
    deployments: Collection[str] | None = (),
    ask_vaults: bool = True,
    defer_unset: bool = False,
) -> Project:
    """Load the project. `only`: evaluate the config of these tasks, in blocks with these roles, and of `deployments`
    (None: all); unset variables elsewhere are ignored.

    Raises ConfigErrors; RefusedError if the file is untrusted; AuthError or UnreachableError from a key vault, unless
    `ask_vaults` is false.
    """
    variables = options.variable_values(os.environ)
    project = load(
        options.config_path,
        variables=variables,
        environ=os.environ,
        only=only,
        roles=roles,
        deployments=deployments,
        ask_vaults=ask_vaults,
        defer_unset=defer_unset,
        is_untrusted=options.is_untrusted(os.environ),
    )
    of_tasks = [block for task in project.tasks.values() for block in task.providers]
    for block in (*of_tasks, *project.deployments.values()) if project.is_untrusted else ():
        if block.provider_ref is not None:
            refuse_untrusted_reference(block.provider_ref, project.folder, os.environ, place=block.place)
    return project


def task_of(project: Project, name: str) -> Task:
    """Return the task. Raises ConfigError `task.unknown`."""
    if name in project.tasks:
        return project.tasks[name]
    close = difflib.get_close_matches(name, project.tasks, n=1)
    names = list(project.tasks)
    known = ", ".join(names[:_FEW]) or "none"
    more = f" and {len(names) - _FEW:,} more (`dstream list`)" if len(names) > _FEW else ""
    hint = f'Did you mean "{close[0]}"?' if close else f"Available tasks: {known}{more}."
    raise ConfigError("task.unknown", f'unknown task "{name}" in {project.path}', hint=hint)


def spec_of(block: ProviderBlock, project: Project, *, only_describes: bool = False) -> ProviderSpec:
    """Return the program to execute for a block; pull it if it is a reference that is not installed.

    `only_describes`: the program connects to nothing, so it gets only what programs need to start.

    Raises ConfigError; AuthError, RefusedError and UnreachableError from a registry.
    """
    listed = project.settings.allowed_providers
    if block.provider_ref is not None:
        on_pull = PullProgress(sys.stderr)
        argv = from_reference(
            block.provider_ref, project.folder, os.environ, listed=listed, place=block.place, on_pull=on_pull
        )
    else:
        argv = resolve(block.provider, block.provider_path, project.folder, os.environ, place=block.place)
        refuse_unlisted([block.provider] if block.provider else [], argv, listed, os.environ, place=block.place)
    environ = limited_environment(os.environ) if project.is_untrusted or only_describes else None
    if block.environ:
        environ = {**(os.environ if environ is None else environ), **block.environ}
    secrets = block.secrets | {value for name, value in block.environ.items() if is_secret_name(name)}
    fit = partial(fitted, block)
    return ProviderSpec(argv, block.config, block.label, block.place, block.place_of, secrets, block.read, fit, environ)


def output_spec_of(task: Task, project: Project) -> ProviderSpec:
    """Return the program of the output, with the secrets and places of the task's transforms. Raises ConfigError."""
    spec = spec_of(task.output, project)

    def place_of(path: str) -> SourceLocation | None:
        return _transform_place(task, path) or spec.place_of(path)

    secrets = frozenset(secret for each in task.transforms for secret in each.secrets)
    read = {**spec.read, ("transform",): frozenset(text for each in task.transforms for text in each.read)}
    return replace(spec, secrets=spec.secrets | secrets, read=read, place_of=place_of)


def _transform_place(task: Task, path: str) -> SourceLocation | None:
    """Return the place of `transform[2].columns`, or of the block if it has no such attribute."""
    found = _TRANSFORM_PATH.fullmatch(path)
    if found is None or int(found["index"]) >= len(task.transforms):
        return None
    block = task.transforms[int(found["index"])]
    return block.places.get(found["attribute"], block.place)


def deployment_record(deployment: str, task: str) -> str:
    """Return the name under which a deployed task is recorded, which no task can have: `aca//orders`; `aca//` for what
    all of its tasks use."""
    return f"{deployment}{_OF_DEPLOYMENT}{task if task != deployment else ''}"


def record_of(project: Project, name: str) -> str:
    """Return the record of a task, or of a deployed task for `aca/orders`. Raises ConfigError `task.unknown`."""
    deployment, slash, task = name.partition("/")
    if slash and deployment in project.deployments:
        return deployment_record(deployment, task or deployment)
    return task_of(project, name).name


def infrastructure_of(project: Project, task: str) -> Infrastructure:
    """Return where the infrastructure of a task is recorded, also of one that the file lacks, or a deployment.

    A program of the file that changes resources is for tasks only.

    Raises RefusedError if the file is untrusted and comes with a record: the engine would install the plug-ins that the
    record names, from the addresses in it.
    """
    _refuse_record(project)
    settings = project.settings.infrastructure
    return Infrastructure(
        task=task,
        stack=settings.stack,
        work_dir=str(_infrastructure_dir(project) / quote(task, safe="") / quote(settings.stack, safe="")),
        backend_url=_absolute(settings.backend_url, project.folder),
        secrets_provider=settings.secrets_provider or os.environ.get("DSTREAM_SECRETS_PROVIDER") or None,
        program=str(project.folder / Path(settings.program).expanduser())
        if settings.program and _OF_DEPLOYMENT not in task
        else None,
    )


def recorded_infrastructure(project: Project) -> set[str]:
    """Return the names of tasks whose infrastructure is recorded in this stack, also if the file lacks them, without
    the records of deployments.

    """
    return {name for name in _records(project) if _OF_DEPLOYMENT not in name}


def deployed_tasks(project: Project, deployment: str) -> list[str]:
    """Return the names of tasks that are recorded as deployed in this stack, also if the file lacks them."""
    start = deployment_record(deployment, deployment)
    return sorted(name.removeprefix(start) for name in _records(project) if name.startswith(start) and name != start)


def _records(project: Project) -> set[str]:
    """Return the names of all records. The engine keeps the settings of a stack in its work folder as long as the stack
    exists."""
    stack = quote(project.stack, safe="")
    settings = f"Pulumi.{project.stack.rpartition('/')[2]}.yaml"
    return {unquote(file.parent.parent.name) for file in _infrastructure_dir(project).glob(f"*/{stack}/{settings}")}


def _refuse_record(project: Project) -> None:
    folder = _folder_of_records(project)
    if project.is_untrusted and not os.environ.get("PULUMI_BACKEND_URL") and os.path.lexists(folder):
        raise RefusedError(
            "untrusted.refused",
            f"the record in {folder} is not used with an untrusted file: it may come from the author of the file",
            hint="Set PULUMI_BACKEND_URL to use a record elsewhere, or move the folder to plan without a record.",
        )


def _infrastructure_dir(project: Project) -> Path:
    """Return the work folder; that of an untrusted file is new, so nothing in it is from the checkout."""
    if not project.is_untrusted:
        return _folder_of_records(project)
    with _making:  # tasks ask concurrently; a second folder would be removed with its object
        return Path(_temporary_folder().name)


def _folder_of_records(project: Project) -> Path:
    return project.folder / Path(project.settings.infrastructure.work_dir or _WORK_DIR).expanduser()


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="dstream-")


def _absolute(backend_url: str | None, folder: Path) -> str | None:
    """Resolve a relative `file://` URL against the folder of the HCL file."""
    path = (backend_url or "").removeprefix("file://")
    if not backend_url or path == backend_url or path.startswith(("/", "~")):
        return backend_url
    return (folder / path).resolve().as_uri()
