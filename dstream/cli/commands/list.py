"""`dstream list`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, recorded_infrastructure
from dstream.cli.render import show_errors
from dstream.config import Project, Task
from dstream.errors import DStreamError, exit_code
from dstream.shown import shown
from dstream.state import StoredState, open_store, stored_tasks


@click.command("list", epilog="\b\nExample:\n  dstream list --json")
@with_options
def list_tasks(options: Options) -> int:
    """List the tasks with their providers and last checkpoint, and recorded tasks that the file lacks.

    A checkpoint that cannot be read is reported after the list, and gives its exit code.
    """
    project = load_project(options, only=())
    listed = [_Listed.of(project, task) for task in project.tasks.values()]
    removed = _removed(project)
    if options.as_json:
        tasks = [each.document() for each in listed]
        click.echo(json.dumps({"schema_version": 1, "tasks": tasks, "removed": removed}))
    else:
        _show(project, listed, removed)
    errors = [each.error for each in listed if each.error]
    for error in errors:
        options.repeat_in(error)
        show_errors(error, sys.stderr)
    return exit_code(errors[0] if errors else "done")


def _stored(project: Project, task: str) -> StoredState | None:
    with closing(open_store(project.state, task)) as store:
        return store.load()


@dataclass(frozen=True, slots=True)
class _Listed:
    """A task with its last checkpoint, or why that cannot be read."""

    task: Task
    stored: StoredState | None
    error: DStreamError | None

    @classmethod
    def of(cls, project: Project, task: Task) -> _Listed:
        try:
            return cls(task, _stored(project, task.name), None)
        except DStreamError as error:
            return cls(task, None, error)

    @property
    def checkpoint(self) -> str:
        if self.error:
            return f"checkpoint unreadable ({self.error.code})"
        return f"last checkpoint {self.stored.stored_at}" if self.stored else "never run"

    def document(self) -> dict[str, Any]:
        return {
            "name": self.task.name,
            "type": self.task.type,
            "input": self.task.input.label,
            "transform": self.task.transform.label if self.task.transform else None,
            "output": self.task.output.label,
            "transforms": [each.kind for each in self.task.transforms],
            "stored_at": self.stored.stored_at if self.stored else None,
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
        }


def _show(project: Project, listed: Sequence[_Listed], removed: Sequence[Mapping[str, Any]]) -> None:
    if not listed:
        click.echo(f"{project.path} has no tasks.")
    width = max((len(name) for name in [*project.tasks, *(shown(each["name"]) for each in removed)]), default=0)
    providers = [shown(_way(each.task)) for each in listed]
    widest = max(map(len, providers), default=0)
    for each, between in zip(listed, providers, strict=True):
        click.echo(f"{each.task.name:<{width}}   {between:<{widest}}   {shown(each.checkpoint)}")
    if removed:
        click.echo(f"\nRecorded in stack {project.stack}, but not in {project.path}:")
    for task in removed:
        recorded = [kind for kind in ("checkpoint", "infrastructure") if task[kind]]
        click.echo(f"{shown(task['name']):<{width}}   {', '.join(recorded)}")
    if any(task["infrastructure"] for task in removed):
        click.echo(
            "\nRenamed a task? dstream state infra mv NAME NEW_TASK\n"
            "Removed a task? dstream destroy TASK --orphan NAME (TASK writes to the same namespace)"
        )


def _way(task: Task) -> str:
    """Return what rows pass through, from the input to the output."""
    transforms = [", ".join(each.kind for each in task.transforms)] if task.transforms else []
    labels = [block.label for block in task.providers]
    return " → ".join([*labels[:-1], *transforms, labels[-1]])


def _removed(project: Project) -> list[dict[str, Any]]:
    """Return the tasks that the file lacks, with what is recorded of them."""
    checkpoints = stored_tasks(project.state)
    infrastructure = recorded_infrastructure(project)
    return [
        {"name": name, "checkpoint": name in checkpoints, "infrastructure": name in infrastructure}
        for name in sorted((checkpoints | infrastructure) - project.tasks.keys())
    ]
