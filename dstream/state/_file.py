"""Stores checkpoints in a folder: one document per task, replaced atomically, mode 0600."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

import msgspec

from dstream.errors import ConfigError, SystemFault
from dstream.private_files import make_private_folder, replace_private, sync_folder

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
            make_private_folder(self._folder)
            replace_private(self.path, msgspec.json.encode(state) + b"\n")
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
            sync_folder(self._folder)
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
