"""Opens the store of a task on the backend that the settings name. Imports a backend's client only if it is used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from dstream.errors import ConfigError, DStreamError
from dstream.state._file import FileStore, stored_in_folder
from dstream.state._second_lock import SecondLock, TwiceLockedStore
from dstream.state._sql import SqlDatabase, SqlStore, stored_in_database
from dstream.state._store import StateStore

StateBackend = Literal["file", "azblob", "postgres", "mssql"]

_CREDENTIALS = (
    re.compile(r"://[^/@:]*:([^@/]+)@"),
    re.compile(r"(?i)(?:password|pwd|accountkey|sharedaccesssignature|sig)\s*=\s*([^;&\s]+)"),
)


@dataclass(frozen=True, slots=True)
class StateLocation:
    """Where the checkpoints of a stack are."""

    stack: str
    folder: Path
    """Of the backend `file`."""
    backend: StateBackend = "file"
    history: int = 50
    """How many checkpoints of each task are kept for a rollback."""
    url: str = field(default="", repr=False)
    """Of a network backend; may contain credentials."""
    lease_s: float = 30.0
    """Of a network backend and of `second_lock`: how long a lease lasts without being renewed."""
    allow_plaintext: bool = False
    """Whether a backend on another machine can be used without TLS, or without verifying its certificate."""
    second_lock: SecondLock | None = None
    """Where the task is locked as well."""

    @property
    def secrets(self) -> frozenset[str]:
        """The credentials in the URL and of the second lock, as written and decoded."""
        texts = (self.url, self.second_lock.connection_string if self.second_lock else "")
        found = [found for pattern in _CREDENTIALS for text in texts for found in pattern.findall(text)]
        return frozenset(each for found in found for each in (found, unquote(found)) if each)


def open_store(location: StateLocation, task: str) -> StateStore:
    """Return the store of a task; close it. Nothing is read yet.

    Raises ConfigError `state.no_url`, `state.bad_url`, `state.plaintext` or `state.not_installed`.
    """
    store = _store(location, task)
    if location.second_lock is None:
        return store
    from dstream.state._blob import BlobStore, connected_container

    container = connected_container(
        location.second_lock.connection_string,
        location.second_lock.container,
        allow_plaintext=location.allow_plaintext,
    )
    second = BlobStore(container, location.stack, task, 0, location.lease_s, is_only_lock=True)
    return TwiceLockedStore(store, second)


def _store(location: StateLocation, task: str) -> StateStore:
    if location.backend == "azblob":
        from dstream.state._blob import BlobStore, container_client

        container = container_client(_url(location), allow_plaintext=location.allow_plaintext)
        return BlobStore(container, location.stack, task, location.history, location.lease_s)
    if location.backend != "file":
        return SqlStore(partial(_database, location), location.stack, task, location.history, location.lease_s)
    return FileStore(location.folder, location.stack, task, location.history)


def stored_tasks(location: StateLocation) -> set[str]:
    """Return the names of the tasks that have a checkpoint. Raises as `open_store` and `StateStore.load` do."""
    if location.backend == "azblob":
        from dstream.state._blob import stored_in_container

        return stored_in_container(_url(location), location.stack, allow_plaintext=location.allow_plaintext)
    if location.backend != "file":
        return stored_in_database(_database(location), location.stack)
    return stored_in_folder(location.folder, location.stack)


def _database(location: StateLocation) -> SqlDatabase:
    if location.backend == "postgres":
        from dstream.state._postgres import PostgresDatabase

        return PostgresDatabase(_url(location), allow_plaintext=location.allow_plaintext)
    from dstream.state._mssql import MssqlDatabase

    return MssqlDatabase(_url(location), allow_plaintext=location.allow_plaintext)


def _url(location: StateLocation) -> str:
    if not location.url:
        raise ConfigError(
            "state.no_url",
            f'the state backend "{location.backend}" has no url',
            hint="Set `url` in the state block, or DSTREAM_STATE_URL.",
        )
    return location.url


def has_checkpoint(store: StateStore) -> bool:
    """Return whether there is a checkpoint, usable or not."""
    try:
        return store.load() is not None
    except DStreamError as error:
        if error.code in ("state.corrupt", "state.newer"):
            return True
        raise
