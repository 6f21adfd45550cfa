"""A task's checkpoint, as the commands of `dstream state` see and change it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import click
import msgspec

from dstream.cli.options import Options
from dstream.cli.project import task_of
from dstream.config import Project
from dstream.errors import ConfigError
from dstream.shown import shown
from dstream.state import Lease, StateStore, StoredState, open_store, stored_tasks


def checkpoint_store(project: Project, task: str) -> StateStore:
    """Return the store of the task, which the file may lack if it has a checkpoint: it was removed or renamed. Raises
    ConfigError `task.unknown`."""
    is_known = task in project.tasks or task in stored_tasks(project.state)
    return open_store(project.state, task if is_known else task_of(project, task).name)


def keep_current(store: StateStore, lease: Lease) -> None:
    """Keep the checkpoint that is about to be replaced for a rollback, unless it cannot be read."""
    with suppress(ConfigError):
        if (stored := store.load()) is not None:
            store.keep(stored, lease)


def identity(stored: StoredState) -> dict[str, str]:
    """Return what identifies a checkpoint, without the position in the source."""
    return {"stored_at": stored.stored_at, "run_id": stored.run_id}


def plain(stored: StoredState) -> Any:
    """Return the document for `--json`."""
    return json.loads(msgspec.json.encode(stored))


def done(options: Options, task: str, text: str, **more: object) -> None:
    """Show what a command did to the checkpoint of `task`: the text, or `more` as JSON."""
    click.echo(json.dumps({"schema_version": 1, "task": task, **more}) if options.as_json else shown(text))
