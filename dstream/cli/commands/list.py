"""`dstream list`."""

from __future__ import annotations

import json
from typing import Any

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project
from dstream.config import Project, Task
from dstream.state import FileStore


@click.command("list", epilog="\b\nExample:\n  dstream list --json")
@with_options
def list_tasks(options: Options) -> None:
    """List the tasks in the file with their providers and last checkpoint."""
    project = load_project(options, only=())
    tasks = [_describe(project, task) for task in project.tasks.values()]
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "tasks": tasks}))
        return
    if not tasks:
        click.echo(f"{project.path} has no tasks.")
        return
    width = max(len(task["name"]) for task in tasks)
    for task in tasks:
        checkpoint = f"last checkpoint {task['stored_at']}" if task["stored_at"] else "never run"
        click.echo(f"{task['name']:<{width}}   {task['input']} → {task['output']}   {checkpoint}")


def _describe(project: Project, task: Task) -> dict[str, Any]:
    stored = FileStore(project.state_dir, project.stack, task.name).load()
    return {
        "name": task.name,
        "type": task.type,
        "input": task.input.label,
        "output": task.output.label,
        "stored_at": stored.stored_at if stored else None,
    }
