"""`dstream state`: show, export, set or delete a task's checkpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, BinaryIO

import click
import msgspec

from dstream.cli.audited import AuditedChange
from dstream.cli.commands.state_infra import infra
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, task_of
from dstream.config import Project
from dstream.errors import ConfigError
from dstream.shown import shown
from dstream.state import FileStore, StoredState, TaskLock, decode_state, stored_tasks

_CONFIRMED = click.option(
    "--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
)


@click.group(epilog="\b\nExample:\n  dstream state show orders")
def state() -> None:
    """Show, export, set or delete a task's checkpoint, the position where its next run resumes.

    `dstream state infra` edits the record of its infrastructure.
    """


@state.command(epilog="\b\nExample:\n  dstream state show orders --json")
@click.argument("task", shell_complete=task_names)
@with_options
def show(task: str, options: Options) -> None:
    """Show TASK's checkpoint."""
    stored = _store(options, task).load()
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "task": task, "checkpoint": stored and _plain(stored)}))
        return
    if stored is None:
        click.echo(f"{task} has no checkpoint: its next run starts from scratch.")
        return
    click.echo(f"{task} · {shown(stored.input)} → {shown(stored.output)}")
    click.echo(shown(f"  stored   {stored.stored_at}, by run {stored.run_id}"))
    lines = bytes(msgspec.json.format(stored.state, indent=2)).decode().splitlines()
    click.echo("\n".join([f"  state    {lines[0]}", *(f"           {line}" for line in lines[1:])]))


@state.command(epilog="\b\nExample:\n  dstream state export orders > orders.json")
@click.argument("task", shell_complete=task_names)
@with_options
def export(task: str, options: Options) -> None:
    """Write TASK's checkpoint to stdout in the format that `dstream state set` reads."""
    stored = _store(options, task).load()
    if stored is None:
        raise ConfigError("state.none", f'task "{task}" has no checkpoint', hint="`dstream run` stores the first one.")
    # Formatted without decoding, so that numbers of any size stay unchanged.
    click.echo(msgspec.json.format(msgspec.json.encode(stored), indent=2).decode())


@state.command("set", epilog="\b\nExample:\n  dstream state set orders orders.json")
@click.argument("task", shell_complete=task_names)
@click.argument("file", type=click.File("rb"))
@_CONFIRMED
@with_options
def set_state(task: str, file: BinaryIO, options: Options, *, is_confirmed: bool) -> None:
    """Set TASK's checkpoint from FILE, written by `dstream state export`; `-` reads stdin.

    The next run resumes there: moving it back replays rows; moving it forward skips rows.
    """
    project, store = _opened(options, task)
    with (
        TaskLock(store.lock_path, task, datetime.now(UTC), "state"),
        AuditedChange(project, "state set", [task]) as change,
    ):
        hint = "Use a file written by `dstream state export`."
        new = msgspec.structs.replace(decode_state(file.read(), source=file.name, hint=hint), task=task)
        confirm(f"{task} will resume from the checkpoint of {new.stored_at} in {file.name}.", is_confirmed)
        change.begin(checkpoint=_origin(new))
        store.save(new)
    click.echo(f"{task} will resume from the checkpoint of {shown(new.stored_at)}.")


@state.command(epilog="\b\nExample:\n  dstream state rm orders --yes")
@click.argument("task", shell_complete=task_names)
@_CONFIRMED
@with_options
def rm(task: str, options: Options, *, is_confirmed: bool) -> None:
    """Delete TASK's checkpoint; its next run starts from scratch."""
    project, store = _opened(options, task)
    with (
        TaskLock(store.lock_path, task, datetime.now(UTC), "state"),
        AuditedChange(project, "state rm", [task]) as change,
    ):
        if not store.path.exists():
            click.echo(f"{task} has no checkpoint.")
            return
        confirm(f"The checkpoint of {task} will be deleted; its next run starts from scratch.", is_confirmed)
        change.begin()
        store.remove()
    click.echo(f"Deleted the checkpoint of {task}.")


state.add_command(infra)


def _store(options: Options, task: str) -> FileStore:
    return _opened(options, task)[1]


def _opened(options: Options, task: str) -> tuple[Project, FileStore]:
    """Return the project, and the store of the task, which the file may lack if it has a checkpoint: it was removed or
    renamed."""
    project = load_project(options, only=())
    is_stored = task in stored_tasks(project.state_dir, project.stack)
    return project, FileStore(project.state_dir, project.stack, task if is_stored else task_of(project, task).name)


def _origin(stored: StoredState) -> dict[str, str]:
    """Return what identifies a checkpoint, without the position in the source."""
    return {"stored_at": stored.stored_at, "run_id": stored.run_id}


def _plain(stored: StoredState) -> Any:
    return json.loads(msgspec.json.encode(stored))
