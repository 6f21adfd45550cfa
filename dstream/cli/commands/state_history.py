"""`dstream state history` and `rollback`: the checkpoints that are kept, and going back to one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

import click

from dstream.cli.audited import AuditedChange
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import load_project
from dstream.cli.stored import checkpoint_store, done, identity, keep_current, plain
from dstream.errors import ConfigError
from dstream.shown import shown
from dstream.state import StateStore, StoredState


@click.command(epilog="\b\nExample:\n  dstream state history orders")
@click.argument("task", shell_complete=task_names)
@with_options
def history(task: str, options: Options) -> None:
    """List TASK's kept checkpoints, newest first.

    DStream keeps at most one per minute, and each that a command replaced.
    """
    with closing(checkpoint_store(load_project(options, only=()), task)) as store:
        kept = store.history()
    if options.as_json:
        click.echo(json.dumps({"schema_version": 1, "task": task, "checkpoints": [plain(each) for each in kept]}))
        return
    if not kept:
        click.echo(f"No checkpoints of {task} are kept.")
    for each in kept:
        click.echo(shown(f"{each.stored_at}   checkpoint {each.seq} of run {each.run_id}"))


@click.command(
    epilog="\b\nExamples:\n  dstream state rollback orders\n  dstream state rollback orders --to 2026-11-30T07:00:00Z"
)
@click.argument("task", shell_complete=task_names)
@click.option(
    "--to", metavar="TIME", help="The newest checkpoint stored at or before this time (default: the previous one)."
)
@click.option(
    "--yes", "is_confirmed", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal."
)
@with_options
def rollback(task: str, to: str | None, options: Options, *, is_confirmed: bool) -> None:
    """Set TASK's checkpoint to one that `dstream state history` lists. Stop the task first.

    The next run replays the rows since then, with the same message ids. The current checkpoint is kept, so a rollback
    can be undone with a later --to.
    """
    time = _time(to) if to else None
    project = load_project(options, only=())
    with (
        closing(checkpoint_store(project, task)) as store,
        store.lease(datetime.now(UTC), "state") as lease,
        AuditedChange(project, "state rollback", [task]) as change,
    ):
        chosen = _chosen(store, task, time)
        confirm(f"{task} will resume from the checkpoint of {chosen.stored_at}.", is_confirmed)
        change.begin(checkpoint=identity(chosen))
        keep_current(store, lease)
        store.save(chosen, lease)
    done(options, task, f"{task} will resume from the checkpoint of {chosen.stored_at}.", checkpoint=identity(chosen))


def _chosen(store: StateStore, task: str, time: datetime | None) -> StoredState:
    """Return the kept checkpoint to go back to. Raises ConfigError `state.not_kept`."""
    kept = store.history()
    if time is not None:
        found = [each for each in kept if (stored := _stored_at(each)) is not None and stored <= time]
    else:
        found = _before_current(store, kept)
    if found:
        return found[0]
    raise ConfigError(
        "state.not_kept",
        f"no earlier checkpoint of {task} is kept" if time is None else f"no checkpoint of {task} is that old",
        hint=f"`dstream state history {task}` lists the kept ones.",
    )


def _before_current(store: StateStore, kept: Sequence[StoredState]) -> list[StoredState]:
    """Return the kept checkpoints without the current one and later ones; all if there is no usable current one."""
    try:
        current = store.load()
    except ConfigError:
        return list(kept)
    if current is None:
        return list(kept)
    return [each for each in kept if each.stored_at < current.stored_at and each.state != current.state]


def _stored_at(stored: StoredState) -> datetime | None:
    try:
        time = datetime.fromisoformat(stored.stored_at)
    except ValueError:  # a document written by hand
        return None
    return time if time.tzinfo else None


def _time(text: str) -> datetime:
    """Parse RFC 3339; without an offset, UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'invalid time "{text}"; use e.g. 2026-11-30T07:00:00Z', param_hint="--to") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
