"""`dstream snapshot`: read all rows of a running task's tables."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from dstream.cli.completing import task_names
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, task_of
from dstream.errors import ConfigError
from dstream.host import ask_host, socket_path


@click.command(
    epilog="\b\nExamples:\n  dstream snapshot orders --table dbo.Orders\n  dstream snapshot orders --table 'sales.*'"
)
@click.argument("task", shell_complete=task_names)
@click.option(
    "--table",
    "tables",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A table that the task reads; may be repeated.",
)
@with_options
def snapshot(task: str, tables: Sequence[str], options: Options) -> None:
    """Let the running TASK read all rows of tables again, while it continues to stream their changes.

    Returns at once. The input stores the request with its next checkpoint, and reports progress in the log of the run.
    """
    project = load_project(options, only=())
    name = task_of(project, task).name
    answer = ask_host(socket_path(project.socket_dir, project.stack, name), "snapshot", tables=list(tables))
    if answer is None:
        raise ConfigError(
            "run.not_running",
            f'task "{name}" is not running on this machine',
            hint=f"Start it with `dstream run {name}`; to begin with all tables, add --reset --from snapshot.",
        )
    if "requested" not in answer:
        raise ConfigError("run.no_snapshot", f"no snapshot was requested: {answer.get('error', answer)}")
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "task": name, "requested": answer["requested"]}))
    else:
        click.echo(f"Requested a snapshot of {', '.join(answer['requested'])}. Its progress is in the log of the run.")
