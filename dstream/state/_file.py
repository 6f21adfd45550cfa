"""Stores checkpoints in a folder: one document per task, replaced atomically, mode 0600."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from dstream.errors import ConfigError, SystemFault
from dstream.private_files import make_private_folder, remove_drafts, replace_private, sync_folder
from dstream.state._document import StoredState, decode_state, encode_state, file_name, stored_hint
from dstream.state._history import HistoryPace, decoded, entry_name
from dstream.state._holder import TaskLockHolder
from dstream.state._lock import TaskLock
from dstream.state._store import Lease


class FileStore:
    """A task's document at `<folder>/<stack>/<task>.json`. Its lease is a lock that works on one machine."""

    def __init__(self, folder: Path, stack: str, task: str, history: int = 50) -> None:
        self._folder = folder / file_name(stack)
        self._task = task
        self.path = self._folder / f"{file_name(task)}.json"
        self.lock_path = self._folder / f"{file_name(task)}.lock"
        self._kept = self._folder / f"{file_name(task)}.history"
        self._pace = HistoryPace(history)
        self._has_removed_drafts = False

    @property
    def place(self) -> str:
        return str(self.path)

    def load(self) -> StoredState | None:
        try:
            document = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                "state.unreadable", f"cannot read the state file {self.path}: {error.strerror}"
            ) from error
        return decode_state(document, source=str(self.path), hint=stored_hint(self._task))

    def save(self, state: StoredState, lease: Lease) -> None:
        """Store the state durably: file and folder are synced. Raises `state.write_failed` and keeps the old state."""
        try:
            make_private_folder(self._folder)
            self._remove_drafts()
            replace_private(self.path, encode_state(state))
        except OSError as error:
            raise _write_failed(f"cannot store the checkpoint in {self.path}", error) from error
        if self._pace.is_due:
            with contextlib.suppress(OSError):  # no row depends on it
                self._keep(state)
            self._pace.kept()

    def keep(self, state: StoredState, lease: Lease) -> None:
        try:
            self._keep(state)
        except OSError as error:
            raise _write_failed(f"cannot keep the checkpoint in {self._kept}", error) from error

    def history(self) -> Sequence[StoredState]:
        try:
            return decoded(each.read_bytes() for each in self._kept.glob("*.json"))
        except OSError as error:
            raise ConfigError("state.unreadable", f"cannot read the history {self._kept}: {error.strerror}") from error

    def remove(self, lease: Lease) -> bool:
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

    def lease(self, since: datetime, command: str = "run") -> Lease:
        return TaskLock(self.lock_path, self._task, since, command)

    def holder(self) -> TaskLockHolder | None:
        return TaskLock.holder(self.lock_path)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _remove_drafts(self) -> None:
        """Remove what a run that was killed while it stored a checkpoint has left. Once: the lease keeps others out."""
        if not self._has_removed_drafts:
            remove_drafts(self._folder, self.path.name)
            remove_drafts(self._kept)
            self._has_removed_drafts = True

    def _keep(self, state: StoredState) -> None:
        """Raises OSError."""
        make_private_folder(self._kept)
        replace_private(self._kept / f"{entry_name(state)}.json", encode_state(state))
        for each in sorted(self._kept.glob("*.json"), reverse=True)[self._pace.most :]:
            each.unlink(missing_ok=True)


def stored_in_folder(folder: Path, stack: str) -> set[str]:
    """Return the names of the tasks that have a checkpoint."""
    return {unquote(file.stem) for file in (folder / file_name(stack)).glob("*.json")}


def _write_failed(what: str, error: OSError) -> SystemFault:
    return SystemFault(
        "state.write_failed",
        f"{what}: {error.strerror}",
        hint="Nothing is lost: the last stored checkpoint is kept, and the changes after it are read again.",
    )
