"""`dstream state`: a task's checkpoint, to look at, keep, change or forget."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO

import click
import msgspec

from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project, task_of
from dstream.errors import ConfigError
from dstream.state import FileStore, StoredState, TaskLock, decode_state

_CONFIRMED = click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask; needed without a terminal.")


@click.group(epilog="\b\nExample:\n  dstream state show orders")
def state() -> None:
    """A task's checkpoint: where its next run goes on."""


@state.command(epilog="\b\nExample:\n  dstream state show orders --json")
@click.argument("task")
@with_options
def show(task: str, options: Options) -> None:
    """Show TASK's checkpoint."""
    stored = _store(options, task).load()
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "task": task, "checkpoint": stored and _plain(stored)}))
        return
    if stored is None:
        click.echo(f"{task} has no checkpoint: its next run starts anew.")
        return
    click.echo(f"{task} · {stored.input} → {stored.output}")
    click.echo(f"  stored   {stored.stored_at}, by run {stored.run_id}")
    click.echo(f"  state    {bytes(msgspec.json.format(stored.state, indent=0)).decode()}")


@state.command(epilog="\b\nExample:\n  dstream state export orders > orders.json")
@click.argument("task")
@with_options
def export(task: str, options: Options) -> None:
    """Write TASK's checkpoint to stdout, as `dstream state set` reads it."""
    stored = _store(options, task).load()
    if stored is None:
        raise ConfigError("state.none", f'task "{task}" has no checkpoint', hint="`dstream run` stores the first one.")
    # Formatted, not decoded: numbers of any size stay as the input wrote them.
    click.echo(msgspec.json.format(msgspec.json.encode(stored), indent=2))


@state.command("set", epilog="\b\nExample:\n  dstream state set orders orders.json")
@click.argument("task")
@click.argument("file", type=click.File("rb"))
@_CONFIRMED
@with_options
def set_state(task: str, file: BinaryIO, options: Options, *, is_confirmed: bool) -> None:
    """Make FILE, as `dstream state export` wrote it, TASK's checkpoint; `-` reads stdin.

    The next run goes on from there: rows behind it come again, rows before it are skipped.
    """
    store = _store(options, task)
    with TaskLock(store.lock_path, task, datetime.now(UTC)):
        hint = "It must be a document as `dstream state export` writes it."
        new = msgspec.structs.replace(decode_state(file.read(), source=file.name, hint=hint), task=task)
        _confirm(f"{task} will go on from the state of {new.stored_at} in {file.name}.", is_confirmed)
        store.save(new)
    click.echo(f"{task} goes on from the state of {new.stored_at}.")


@state.command(epilog="\b\nExample:\n  dstream state rm orders --yes")
@click.argument("task")
@_CONFIRMED
@with_options
def rm(task: str, options: Options, *, is_confirmed: bool) -> None:
    """Forget TASK's checkpoint: its next run starts anew."""
    store = _store(options, task)
    with TaskLock(store.lock_path, task, datetime.now(UTC)):
        if not store.path.exists():
            click.echo(f"{task} has no checkpoint.")
            return
        _confirm(f"The checkpoint of {task} will be forgotten; its next run starts anew.", is_confirmed)
        store.remove()
    click.echo(f"The checkpoint of {task} is forgotten.")


def _store(options: Options, task: str) -> FileStore:
    project = load_project(options, only=())
    return FileStore(project.state_dir, project.stack, task_of(project, task).name)


def _plain(stored: StoredState) -> Any:
    return json.loads(msgspec.json.encode(stored))


def _confirm(what: str, is_confirmed: bool) -> None:
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} Without a terminal that needs --yes.")
    click.confirm(f"{what} Go on?", abort=True, err=True)
