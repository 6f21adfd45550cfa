"""`dstream state`: show, export, import or delete a task's checkpoint."""

from __future__ import annotations

import json
from contextlib import closing
from copy import copy
from datetime import UTC, datetime
from typing import BinaryIO

import click
import msgspec

from dstream.cli.audited import AuditedChange
from dstream.cli.commands.state_history import history, rollback
from dstream.cli.commands.state_infra import infra
from dstream.cli.commands.state_moves import migrate, mv
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project
from dstream.cli.stored import checkpoint_store, done, identity, keep_current, plain
from dstream.errors import ConfigError
from dstream.shown import shown
from dstream.state import decode_state, has_checkpoint

_CONFIRMED = click.option(
    "--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
)


@click.group(epilog="\b\nExample:\n  dstream state show orders")
def state() -> None:
    """Show, export, import, roll back, move or delete a task's checkpoint, where its next run resumes.

    `dstream state infra` edits the record of its infrastructure.
    """


@state.command(epilog="\b\nExample:\n  dstream state show orders --json")
@click.argument("task", shell_complete=task_names)
@with_options
def show(task: str, options: Options) -> None:
    """Show TASK's checkpoint, its place and who holds the task."""
    with closing(checkpoint_store(load_project(options, only=()), task)) as store:
        stored, place, holder = store.load(), store.place, store.holder()
    if options.as_json:
        held = None if holder is None else msgspec.to_builtins(holder)
        document = {"task": task, "checkpoint": stored and plain(stored), "place": place, "holder": held}
        click.echo(json.dumps({"schema_version": 1, **document}))
        return
    if stored is None:
        click.echo(f"{task} has no checkpoint: its next run starts from scratch.")
        return
    click.echo(f"{task} · {shown(stored.input)} → {shown(stored.output)}")
    click.echo(shown(f"  stored   {stored.stored_at}, by run {stored.run_id}"))
    lines = bytes(msgspec.json.format(stored.state, indent=2)).decode().splitlines()
    click.echo(shown(f"  in       {place}"))
    if holder:
        click.echo(shown(f"  held by  {holder}"))
    click.echo("\n".join([f"  state    {lines[0]}", *(f"           {line}" for line in lines[1:])]))


@state.command(epilog="\b\nExample:\n  dstream state export orders > orders.json")
@click.argument("task", shell_complete=task_names)
@with_options
def export(task: str, options: Options) -> None:
    """Write TASK's checkpoint to stdout, for `state import`."""
    with closing(checkpoint_store(load_project(options, only=()), task)) as store:
        stored = store.load()
    if stored is None:
        raise ConfigError("state.none", f'task "{task}" has no checkpoint', hint="`dstream run` stores the first one.")
    # Formatted without decoding, so that numbers of any size stay unchanged.
    click.echo(msgspec.json.format(msgspec.json.encode(stored), indent=2).decode())


@state.command("import", epilog="\b\nExample:\n  dstream state import orders orders.json")
@click.argument("task", shell_complete=task_names)
@click.argument("file", type=click.File("rb"))
@_CONFIRMED
@with_options
def import_state(task: str, file: BinaryIO, options: Options, *, is_confirmed: bool) -> None:
    """Set TASK's checkpoint from FILE; `-` reads stdin.

    FILE is what `dstream state export` writes. The next run resumes at that checkpoint: moving it back replays rows;
    moving it forward skips rows. The current checkpoint is kept for `dstream state rollback`. `dstream state set` is
    the same command.
    """
    project = load_project(options, only=())
    with (
        closing(checkpoint_store(project, task)) as store,
        store.lease(datetime.now(UTC), "state") as lease,
        AuditedChange(project, "state import", [task]) as change,
    ):
        hint = "Use a file written by `dstream state export`."
        new = msgspec.structs.replace(decode_state(file.read(), source=file.name, hint=hint), task=task)
        confirm(f"{task} will resume from the checkpoint of {new.stored_at} in {file.name}.", is_confirmed)
        change.begin(checkpoint=identity(new))
        keep_current(store, lease)
        store.save(new, lease)
    done(options, task, f"{task} will resume from the checkpoint of {new.stored_at}.", checkpoint=identity(new))


@state.command(epilog="\b\nExample:\n  dstream state rm orders --yes")
@click.argument("task", shell_complete=task_names)
@_CONFIRMED
@with_options
def rm(task: str, options: Options, *, is_confirmed: bool) -> None:
    """Delete TASK's checkpoint; its next run starts from scratch. It is kept for `dstream state rollback`."""
    project = load_project(options, only=())
    with (
        closing(checkpoint_store(project, task)) as store,
        store.lease(datetime.now(UTC), "state") as lease,
        AuditedChange(project, "state rm", [task]) as change,
    ):
        if not has_checkpoint(store):
            done(options, task, f"{task} has no checkpoint.", deleted=False)
            return
        confirm(f"The checkpoint of {task} will be deleted; its next run starts from scratch.", is_confirmed)
        change.begin()
        keep_current(store, lease)
        store.remove(lease)
    done(options, task, f"Deleted the checkpoint of {task}.", deleted=True)


_former = copy(import_state)
"""`dstream state set`, the former name of `import`."""
_former.name, _former.epilog = "set", "\b\nExample:\n  dstream state set orders orders.json"
state.add_command(_former)
for each in (history, rollback, mv, migrate, infra):
    state.add_command(each)
