"""Stores checkpoints in a folder: one document per task, replaced atomically, mode 0600."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

import msgspec

from dstream.errors import ConfigError, SystemFault

DOCUMENT_VERSION = 1


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """The stored document: the input's state at its last acknowledged checkpoint, and where it came from."""

    version: int = DOCUMENT_VERSION
    task: str
    input: str
    output: str
    seq: Annotated[int, msgspec.Meta(ge=0)]
    """The checkpoint's sequence number within the run that stored it."""
    stored_at: str
    """UTC, RFC 3339."""
    run_id: str
    state: msgspec.Raw
    """A JSON object."""


class _Version(msgspec.Struct):
    version: int


class FileStore:
    """A task's document at `<folder>/<stack>/<task>.json`. Hold the TaskLock while writing: it supports only one
    writer."""

    def __init__(self, folder: Path, stack: str, task: str) -> None:
        self._folder = folder / file_name(stack)
        self._task = task
        self.path = self._folder / f"{file_name(task)}.json"
        self.lock_path = self._folder / f"{file_name(task)}.lock"
        self._temporary = self._folder / f".{file_name(task)}.json.new"

    def load(self) -> StoredState | None:
        """Return the stored state; None if there is none. Raises `state.corrupt`, `state.newer`, `state.unreadable`."""
        try:
            document = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                "state.unreadable", f"cannot read the state file {self.path}: {error.strerror}"
            ) from error
        hint = f"Restore it from a backup, or start over with `dstream state rm {self._task}`."
        return decode_state(document, source=str(self.path), hint=hint)

    def save(self, state: StoredState) -> None:
        """Store the state durably: file and folder are synced. Raises `state.write_failed` and keeps the old state."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_synced(self._temporary, msgspec.json.encode(state) + b"\n")
            self._temporary.replace(self.path)
            _sync_folder(self._folder)
        except OSError as error:
            raise SystemFault(
                "state.write_failed",
                f"cannot store the checkpoint in {self.path}: {error.strerror}",
                hint="Nothing is lost: the last stored checkpoint is kept, and the changes after it are read again.",
            ) from error

    def remove(self) -> bool:
        """Delete the checkpoint; return False if there was none. Raises `state.write_failed`."""
        try:
            self.path.unlink()
            _sync_folder(self._folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SystemFault(
                "state.write_failed", f"cannot delete the state file {self.path}: {error.strerror}"
            ) from error
        return True


def stored_tasks(folder: Path, stack: str) -> set[str]:
    """Return the names of the tasks that have a checkpoint."""
    return {unquote(file.stem) for file in (folder / file_name(stack)).glob("*.json")}


def decode_state(document: bytes, *, source: str, hint: str) -> StoredState:
    """Decode a document; `source`: its origin, `hint`: how to fix a bad one. Raises `state.corrupt`, `state.newer`."""
    try:
        version = msgspec.json.decode(document, type=_Version).version
        if version > DOCUMENT_VERSION:
            raise ConfigError(
                "state.newer",
                f"the state {source} has version {version}; this DStream supports {DOCUMENT_VERSION}",
                hint="A newer DStream wrote it. Upgrade DStream.",
            )
        if version < DOCUMENT_VERSION:
            raise msgspec.ValidationError(f"there is no version {version}")
        stored = msgspec.json.decode(document, type=StoredState)
        if not bytes(stored.state).startswith(b"{"):
            raise msgspec.ValidationError("`state` is not an object")
        return stored
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError("state.corrupt", f"the state {source} is not valid: {error}", hint=hint) from error


def file_name(name: str) -> str:
    """Return a task or stack name as a single path component."""
    return quote(name, safe="")


def _write_synced(path: Path, content: bytes) -> None:
    # Replace a file left by a crash instead of inheriting its mode.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename durable (fsync(2): syncing a file does not sync its directory entry)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
