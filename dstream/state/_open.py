"""Opens the store of a task on the backend that the settings name. Imports a backend's client only if it is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dstream.errors import DStreamError
from dstream.state._file import FileStore, stored_in_folder
from dstream.state._store import StateStore

StateBackend = Literal["file"]


@dataclass(frozen=True, slots=True)
class StateLocation:
    """Where the checkpoints of a stack are."""

    stack: str
    folder: Path
    """Of the backend `file`."""
    backend: StateBackend = "file"
    history: int = 50
    """How many checkpoints of each task are kept for a rollback."""


def open_store(location: StateLocation, task: str) -> StateStore:
    """Return the store of a task; close it. Nothing is read yet."""
    return FileStore(location.folder, location.stack, task, location.history)


def stored_tasks(location: StateLocation) -> set[str]:
    """Return the names of the tasks that have a checkpoint."""
    return stored_in_folder(location.folder, location.stack)


def has_checkpoint(store: StateStore) -> bool:
    """Return whether there is a checkpoint, usable or not."""
    try:
        return store.load() is not None
    except DStreamError as error:
        if error.code in ("state.corrupt", "state.newer"):
            return True
        raise
