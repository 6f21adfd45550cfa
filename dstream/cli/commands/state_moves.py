"""`dstream state mv` and `migrate`: a checkpoint and its history under another name, or on another backend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from dstream.cli.audited import AuditedChange
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, task_of
from dstream.cli.stored import checkpoint_store, done
from dstream.cli.view.words import plural
from dstream.config import Project
from dstream.errors import ConfigError, RefusedError
from dstream.shown import shown
from dstream.state import Lease, StateStore, StoredState, open_store, stored_tasks

_YES = click.option(
    "--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
)


@click.command(epilog="\b\nExample:\n  dstream state mv orders sales")
@click.argument("task", shell_complete=task_names)
@click.argument("new_task", shell_complete=task_names)
@_YES
@with_options
def mv(task: str, new_task: str, options: Options, *, is_confirmed: bool) -> None:
    """Move TASK's checkpoint and its history to NEW_TASK.

    Rename the task in the file first. `dstream state infra mv` moves the record of its infrastructure.
    """
    if task == new_task:
        raise click.UsageError("TASK and NEW_TASK are the same.")
    project = load_project(options, only=())
    now = datetime.now(UTC)
    with ExitStack() as stack:
        source = stack.enter_context(closing(checkpoint_store(project, task)))
        target = stack.enter_context(closing(open_store(project.state, task_of(project, new_task).name)))
        held = stack.enter_context(source.lease(now, "state"))
        lease = stack.enter_context(target.lease(now, "state"))
        change = stack.enter_context(AuditedChange(project, "state mv", [task, new_task]))
        stored = source.load()
        if stored is None:
            raise ConfigError(
                "state.none", f'task "{task}" has no checkpoint', hint="`dstream list` shows the tasks that have one."
            )
        _refuse_overwrite(target, new_task, stored)
        confirm(f"{new_task} will resume from the checkpoint of {task}.", is_confirmed)
        change.begin()
        _copy(source, stored, target, lease, new_task)
        source.remove(held)
    done(options, task, f"Moved the checkpoint of {task} to {new_task}.", new_task=new_task)


@click.command(epilog="\b\nExample:\n  dstream state migrate --from .dstream/state")
@click.argument("tasks", metavar="[TASK...]", nargs=-1, shell_complete=task_names)
@click.option(
    "--from",
    "folder",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the checkpoints to copy: the `state.path` that was used before.",
)
@_YES
@with_options
def migrate(tasks: Sequence[str], folder: Path, options: Options, *, is_confirmed: bool) -> None:
    """Copy checkpoints and histories to the configured backend.

    Copies those of each TASK, or of all tasks that the folder has. The folder stays as it is. A task that already
    resumes from another checkpoint is refused.
    """
    project = load_project(options, only=())
    before = replace(project.state, backend="file", folder=folder.absolute())
    names = list(dict.fromkeys(tasks)) or sorted(stored_tasks(before))
    now = datetime.now(UTC)
    with ExitStack() as stack:
        copies = [_Copy(project, open_store(before, name), name, stack, now) for name in names]
        change = stack.enter_context(AuditedChange(project, "state migrate", names))
        for each in copies:
            _refuse_overwrite(each.target, each.task, each.stored)
        if copies:
            confirm(f"{plural(len(copies), 'checkpoint')} will be copied from {folder}.", is_confirmed)
            change.begin()
        for each in copies:
            _copy(each.source, each.stored, each.target, each.lease, each.task)
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "tasks": names}))
    else:
        click.echo(shown(f"Copied {plural(len(names), 'checkpoint')}: {', '.join(names) or 'the folder has none'}."))


class _Copy:
    """A task with both stores open and leased, until `stack` is closed."""

    def __init__(self, project: Project, source: StateStore, task: str, stack: ExitStack, now: datetime) -> None:
        self.task = task
        self.source = stack.enter_context(closing(source))
        self.target = stack.enter_context(closing(open_store(project.state, task)))
        if self.source.place == self.target.place:
            raise click.UsageError("The file configures the same folder: change `backend` or `path` first.")
        stack.enter_context(self.source.lease(now, "state"))
        self.lease = stack.enter_context(self.target.lease(now, "state"))
        stored = self.source.load()
        if stored is None:
            raise ConfigError(
                "state.none",
                f'task "{task}" has no checkpoint in {self.source.place}',
                hint="Check --from and the stack: checkpoints are in FOLDER/STACK/TASK.json.",
            )
        self.stored = stored


def _refuse_overwrite(target: StateStore, task: str, stored: StoredState) -> None:
    """Raise RefusedError `state.exists` if the task resumes from another checkpoint."""
    found = target.load()
    if found is None or found.state == stored.state:
        return
    raise RefusedError(
        "state.exists",
        f"{task} already has a checkpoint, stored {found.stored_at}, in {target.place}",
        hint=f"To replace it, first delete it with `dstream state rm {task}`.",
    )


def _copy(source: StateStore, stored: StoredState, target: StateStore, lease: Lease, task: str) -> None:
    for each in reversed(source.history()):
        target.keep(msgspec.structs.replace(each, task=task), lease)
    target.save(msgspec.structs.replace(stored, task=task), lease)
