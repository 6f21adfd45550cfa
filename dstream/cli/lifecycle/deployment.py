"""What `dstream deploy` treats like tasks: each named task with a deployment in place of its output, and the deployment
itself, which stands for what all of its tasks use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dstream.cli.lifecycle.literal_secrets import literal_secrets
from dstream.cli.options import Options
from dstream.cli.project import deployed_tasks, load_project, task_of
from dstream.config import FileRead, Project, ProviderBlock, Task
from dstream.config.files import LOCK_FILE, files_of
from dstream.config.model import ROLES
from dstream.errors import ConfigError, ConfigErrors, RefusedError, SourceLocation
from dstream.protocol.lifecycle import LifecycleName
from dstream.redact import MASK, Redactor

_FILES_FOLDER = "/dstream"
"""Where a container finds the HCL files and the files of variables."""
_MOST_BYTES = 512 * 1024
"""Of all files: Kubernetes, on which Container Apps run, allows 1 MiB for a secret (Kubernetes, "Secrets"). Container
Apps documents no limit.
"""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a project, with the subjects of a command: tasks with the deployment as output."""

    name: str
    project: Project
    """With the subjects as its tasks."""
    subjects: Sequence[Task]

    def waves(self, command: LifecycleName, tasks: Sequence[Task]) -> list[list[Task]]:
        """Return the order of changes: the shared resources are created first and deleted last."""
        shared = [task for task in tasks if task.name == self.name]
        apps = [task for task in tasks if task.name != self.name]
        waves = [apps, shared] if command == "destroy" else [shared, apps]
        return [wave for wave in waves if wave]


def load_deployment(
    options: Options, names: Sequence[str] | None, *, by_record: bool, is_destroyed: bool
) -> Deployment:
    """Load the project for these tasks; None: all. The shared resources are added, unless only tasks are destroyed.

    `by_record`: the command uses the record: also tasks that are no longer in the file, and no files are read. Raises
    ConfigError, ConfigErrors, RefusedError.
    """
    wanted = options.deployment or ""
    project = load_project(
        options,
        only=names,
        roles=["output"] if by_record else ROLES,
        deployments=None,
        ask_vaults=False,
        defer_unset=True,
    )
    name, block = _chosen(project, wanted)
    recorded = deployed_tasks(project, name)
    files = {} if by_record else _files(project, options)
    secrets: frozenset[str] = frozenset() if by_record else _secrets(project, options)
    given = {} if by_record else _facts(project, options, files, secrets)
    like = next(iter(project.tasks.values()), None)
    if like is None:
        raise ConfigError(
            "deploy.no_task",
            f"{project.path} has no task to deploy",
            hint="Add a task block, or choose the file that has the tasks with --config.",
        )
    gone = [each for each in recorded if each not in project.tasks] if by_record else []
    known = {**project.tasks, **{each: replace(like, name=each) for each in gone}}
    chosen = [
        task_of(replace(project, tasks=known), each) for each in (known if names is None else names) if each != name
    ]
    shared = []
    if names is None or name in names or not is_destroyed:
        shared = [replace(like, name=name, output=_with(block, given))]
    if shared and is_destroyed:
        _refuse_in_use(name, set(recorded) - {task.name for task in chosen})
    subjects = list(shared)
    for task in chosen:
        contents = {} if by_record else _contents(project, options, files, secrets, task.name)
        subjects.append(replace(task, output=_with(block, given | contents | _of_task(task))))
    by_name = {task.name: task for task in subjects}
    return Deployment(name, replace(project, tasks={**project.tasks, **by_name}), subjects)


def _facts(project: Project, options: Options, files: Mapping[str, Path], secrets: Collection[str]) -> dict[str, Any]:
    """What the provider gets to know about the project. Raises ConfigError, ConfigErrors."""
    _refuse_literal_secrets(options, files, secrets)
    return {
        "env": {"DSTREAM_STATE_URL": url} if (url := _state_url(project)) and not project.settings.state.url else {},
        "config": "" if project.path.is_dir() else project.path.name,
        "arguments": _arguments(options, files),
        "state_backend": project.settings.state.backend,
        "state_url": url,
    }


def _refuse_in_use(name: str, tasks: Collection[str]) -> None:
    """Raise RefusedError for deployed tasks that would be left without the shared resources."""
    if tasks:
        raise RefusedError(
            "deploy.in_use",
            f"{name} is in use by deployed tasks: {', '.join(sorted(tasks))}",
            hint="Destroy all of them with --all, or name them as TASK, too.",
        )


def _chosen(project: Project, name: str) -> tuple[str, ProviderBlock]:
    """Return the deployment called `name`, or the only one."""
    known = project.deployments
    if not known:
        raise ConfigError(
            "deploy.none",
            f"{project.path} has no deployment",
            hint='Add one: deployment "aca" { provider = "container_apps" ... }',
        )
    if not name and len(known) > 1:
        raise ConfigError(
            "deploy.several",
            f"{project.path} has {len(known)} deployments: {', '.join(known)}",
            hint="Choose one with --target.",
        )
    name = name or next(iter(known))
    if name not in known:
        raise ConfigError(
            "deploy.unknown", f'unknown deployment "{name}" in {project.path}', hint=f"Deployments: {', '.join(known)}."
        )
    block = known[name]
    if block.unset:
        raise ConfigErrors([error for each in block.unset.values() for error in each.errors])
    if block.unread:
        raise ConfigError(
            "deploy.vault",
            "a deployment does not read secrets from a key vault",
            place=block.place,
            hint="Name them in `secrets`: the container gets them from the vault.",
        )
    return name, block


def _with(block: ProviderBlock, deployed: Mapping[str, Any]) -> ProviderBlock:
    return replace(block, config={**block.config, "deployed": dict(deployed)})


def _of_task(task: Task) -> dict[str, Any]:
    """The facts about a task. Secrets of its output are masked: only whether they are set matters."""
    output = task.output
    config = Redactor(output.secrets, [output.config]).value(dict(output.config))
    hidden = dict.fromkeys([*output.unset, *filter(None, output.unread)], MASK)
    return {"task": task.name, "output": output.provider or "", "output_config": {**config, **hidden}}


def _state_url(project: Project) -> str:
    """The address of blobs; that of a database may contain a password."""
    return project.state.url if project.settings.state.backend == "azblob" else ""


def _files(project: Project, options: Options) -> dict[str, Path]:
    """Return the files that the containers of all tasks need, by their names there.

    Files of variables can be in other folders, and end in .hcl, which would make them part of the configuration.
    """
    lock = project.folder / LOCK_FILE
    configuration = [*files_of(project.path), *([lock] if lock.is_file() else [])]
    variables = {f"{path.name}.{number}": path for number, path in enumerate(options.variable_files, 1)}
    return {**{path.name: path for path in configuration}, **variables}


def _files_read(project: Project, options: Options, task: str) -> dict[str, Path]:
    """Return the files that expressions read in a run of the task, by name. Raises ConfigErrors for those that the
    container does not get.
    """
    if not project.files_read:
        return {}
    read = load_project(options, only=[task], ask_vaults=False, defer_unset=True).files_read
    folder = Path(os.path.normpath(project.folder))
    missing = sorted(each for each in read if each.function == "secret" or each.path.parent != folder)
    if missing:
        raise ConfigErrors([_not_deployed(task, each) for each in missing])
    return {each.path.name: each.path for each in read}


def _not_deployed(task: str, read: FileRead) -> ConfigError:
    hint = f"Move it to the folder of the HCL files and write {read.function}({json.dumps(read.path.name)})."
    if read.function == "secret":
        hint = 'Read it with env("NAME"), and name it in `secrets` of the deployment.'
    return ConfigError(
        "deploy.file", f"task {task} reads {read.path} with {read.function}(), and it is not deployed", hint=hint
    )


def _texts(files: Mapping[str, Path]) -> dict[str, str]:
    try:
        texts = {name: path.read_text(encoding="utf-8-sig") for name, path in files.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("config.file", f"cannot read a file to deploy: {error}") from error
    size = sum(len(text.encode()) for text in texts.values())
    if size > _MOST_BYTES:
        raise ConfigError(
            "deploy.too_large",
            f"the files to deploy have {size:,} bytes; at most {_MOST_BYTES:,} can be deployed",
            hint="Split the tasks over several configurations, and deploy each with --config.",
        )
    return texts


def _arguments(options: Options, files: Mapping[str, Path]) -> list[str]:
    """Return the options of `dstream run` that set variables."""
    names = [name for name, path in files.items() if path in options.variable_files]
    arguments = [part for name in names for part in ("--var-file", f"{_FILES_FOLDER}/{name}")]
    return arguments + [part for text in options.variables for part in ("--var", text)]


def _contents(
    project: Project, options: Options, files: Mapping[str, Path], secrets: Collection[str], task: str
) -> dict[str, Any]:
    """The contents of the files that the container of a task needs. Raises ConfigError, ConfigErrors."""
    read = _files_read(project, options, task)
    _refuse_literal_secrets(options, read, secrets)
    return {"files": _texts({**files, **read})}


def _secrets(project: Project, options: Options) -> frozenset[str]:
    """The secrets that the configuration evaluates to, also for other tasks: each container gets all of the files."""
    with suppress(ConfigError, ConfigErrors):  # an error in another task
        project = load_project(options, ask_vaults=False, defer_unset=True)
    found = set(project.state.secrets)
    for task in project.tasks.values():
        found.update(*(block.secrets for block in task.providers), *(block.secrets for block in task.transforms))
    return frozenset(found)


def _refuse_literal_secrets(options: Options, files: Mapping[str, Path], known: Collection[str]) -> None:
    """Raise ConfigErrors for secrets in the files and variables: whoever can read the container app could read them."""
    found = [
        ConfigError(
            "deploy.literal_secret",
            "this line contains a secret, and the file would be part of the container app",
            place=SourceLocation(str(path), number, 1, text.splitlines()[number - 1]),
            hint='Read it with env("NAME"), and name it in `secrets` of the deployment.',
        )
        for path, text in zip(files.values(), _texts(files).values(), strict=True)
        for number in literal_secrets(text, known)
    ]
    for text in options.variables:
        name, _, value = text.partition("=")
        if list(literal_secrets(f"{name} = {json.dumps(value)}", known)):
            found.append(
                ConfigError(
                    "deploy.literal_secret",
                    f"--var {name} looks like a secret, and would be part of the container app",
                    hint="Read it with env() in the file, and name it in `secrets` of the deployment.",
                )
            )
    if found:
        redactor = Redactor(known)
        raise ConfigErrors([redactor.error(error) for error in found])
