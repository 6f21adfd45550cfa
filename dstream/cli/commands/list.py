"""`dstream list`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project
from dstream.cli.render import show_errors
from dstream.config import Project, Task
from dstream.errors import DStreamError, exit_code
from dstream.state import FileStore, StoredState


@click.command("list", epilog="\b\nExample:\n  dstream list --json")
@with_options
def list_tasks(options: Options) -> int:
    """List the tasks in the file with their providers and last checkpoint.

    A checkpoint that cannot be read is reported after the list, and gives its exit code.
    """
    project = load_project(options, only=())
    listed = [_Listed.of(project, task) for task in project.tasks.values()]
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "tasks": [each.document() for each in listed]}))
    elif not listed:
        click.echo(f"{project.path} has no tasks.")
    else:
        width = max(len(each.task.name) for each in listed)
        for each in listed:
            providers = f"{each.task.input.label} → {each.task.output.label}"
            click.echo(f"{each.task.name:<{width}}   {providers}   {each.checkpoint}")
    errors = [each.error for each in listed if each.error]
    for error in errors:
        options.repeat_in(error)
        show_errors(error, sys.stderr)
    return exit_code(errors[0] if errors else "done")


@dataclass(frozen=True, slots=True)
class _Listed:
    """A task with its last checkpoint, or why that cannot be read."""

    task: Task
    stored: StoredState | None
    error: DStreamError | None

    @classmethod
    def of(cls, project: Project, task: Task) -> _Listed:
        try:
            return cls(task, FileStore(project.state_dir, project.stack, task.name).load(), None)
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
            "output": self.task.output.label,
            "stored_at": self.stored.stored_at if self.stored else None,
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
        }
