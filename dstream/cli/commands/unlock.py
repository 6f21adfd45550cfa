"""`dstream unlock`: who holds a task's infrastructure, and taking the lock away from someone who is gone."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from dstream.cli.options import Options, with_options
from dstream.cli.project import infrastructure_of, load_project, task_of
from dstream.errors import ConfigError

if TYPE_CHECKING:
    from dstream.infra.engine.locks import StackLockHolder
    from dstream.protocol.messages import Infrastructure


@click.command(epilog="\b\nExamples:\n  dstream unlock orders\n  dstream unlock orders --yes")
@click.argument("task", metavar="TASK")
@click.option("--yes", is_flag=True, help="Don't ask. Needed where there is no terminal to ask at.")
@with_options
def unlock(task: str, options: Options, *, yes: bool) -> int:
    """Show who holds the lock of TASK's infrastructure, ask, and release it.

    Only when its holder is gone: a command that goes on without its lock can damage the record of what was made. A
    lock whose process is dead on this host needs no unlock: init and destroy take it away. The lock of `dstream run`
    ends with its process.
    """
    project = load_project(options, only=())
    infrastructure = infrastructure_of(project, task_of(project, task))
    found = _holders(infrastructure, is_forced=yes)
    if not found and found is not None:
        _end(options, task, f"Nobody holds the infrastructure of {task}.", [], released=False)
        return 0
    for each in found or ():
        click.echo(f"{task} is held by {each}{', which is dead' if each.is_dead else ''}.", err=True)
    if not yes:
        _ask(task)
    from dstream.infra.engine.unlock import release

    released = release(infrastructure, os.environ)
    _end(options, task, f"The lock of {task} is released.", released, released=True)
    return 0


def _holders(infrastructure: Infrastructure, *, is_forced: bool) -> list[StackLockHolder] | None:
    """None: they can't be read from here, and the user wants the lock released all the same."""
    from dstream.infra.engine.locks import holders

    try:
        return holders(infrastructure, os.environ)
    except ConfigError as error:
        if error.code == "infra.lock_unreadable" and is_forced:
            return None
        raise


def _ask(task: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigError(
            "lifecycle.needs_yes",
            "`dstream unlock` takes a lock from its holder: where there is no terminal to ask at, it needs --yes",
            hint="Make sure first that the holder is gone.",
        )
    click.confirm(f"Release the lock of {task}?", abort=True, err=True)


def _end(options: Options, task: str, text: str, found: list[StackLockHolder], *, released: bool) -> None:
    if not options.as_json:
        click.echo(text)
        return
    listed: list[dict[str, Any]] = [
        {"user": each.user, "host": each.host, "pid": each.pid, "since": each.since} for each in found
    ]
    click.echo(json.dumps({"schema_version": 1, "task": task, "released": released, "holders": listed}))
