"""`dstream unlock`: show who holds the stack lock of a task, and release an abandoned one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from dstream.cli.audited import AuditedChange
from dstream.cli.completing import task_names
from dstream.cli.confirming import confirm
from dstream.cli.options import Options, with_options
from dstream.cli.project import infrastructure_of, load_project, record_of
from dstream.errors import ConfigError
from dstream.shown import shown

if TYPE_CHECKING:
    from dstream.infra.engine.locks import StackLockHolder
    from dstream.protocol.messages import Infrastructure


@click.command(
    epilog="\b\nExamples:\n  dstream unlock orders\n  dstream unlock orders --yes\n  dstream unlock aca/orders"
)
@click.argument("task", metavar="TASK", shell_complete=task_names)
@click.option("--yes", is_flag=True, help="Skip the confirmation prompt; required when stdin is not a terminal.")
@with_options
def unlock(task: str, options: Options, *, yes: bool) -> int:
    """Show who holds the stack lock of TASK, and release it after confirmation.

    For a deployed task, use DEPLOYMENT/TASK; for what all tasks of a deployment use, DEPLOYMENT/.

    Release a lock only if its holder is gone: a command that keeps running without its lock can damage the record.
    Locks of dead processes on this host need no unlock; init and destroy remove them. The lock of `dstream run` ends
    with its process.
    """
    project = load_project(options, only=())
    infrastructure = infrastructure_of(project, record_of(project, task))
    found = _holders(infrastructure, is_forced=yes)
    if not found and found is not None:
        _end(options, task, f"The stack of {task} is not locked.", [], released=False)
        return 0
    for each in found or ():
        click.echo(
            f"{task} is locked by {shown(str(each))}{', which no longer exists' if each.is_dead else ''}.", err=True
        )
    confirm(f"The lock of {task} will be released.", yes, "Make sure that the holder is gone, then confirm with --yes.")
    from dstream.infra.engine.unlock import release

    with AuditedChange(project, "unlock", [task]) as change:
        change.begin(holders=None if found is None else _plain(found))
        released = release(infrastructure, os.environ)
    _end(options, task, f"Released the lock of {task}.", released, released=True)
    return 0


def _holders(infrastructure: Infrastructure, *, is_forced: bool) -> list[StackLockHolder] | None:
    """Return the holders; None if they cannot be read and the user forces the release."""
    from dstream.infra.engine.locks import holders

    try:
        return holders(infrastructure, os.environ)
    except ConfigError as error:
        if error.code == "infra.lock_unreadable" and is_forced:
            return None
        raise


def _end(options: Options, task: str, text: str, found: list[StackLockHolder], *, released: bool) -> None:
    if not options.as_json:
        click.echo(text)
        return
    click.echo(json.dumps({"schema_version": 1, "task": task, "released": released, "holders": _plain(found)}))


def _plain(holders: list[StackLockHolder]) -> list[dict[str, Any]]:
    return [{"user": each.user, "host": each.host, "pid": each.pid, "since": each.since} for each in holders]
