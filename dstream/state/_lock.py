"""One writer per task: an flock that the kernel releases when its holder dies, with a note about the holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from dstream.errors import LockedError, SystemFault
from dstream.private_files import make_private_folder, open_private
from dstream.state._holder import TaskLockHolder, decode_holder, has_ended, locked, this_process

_TOO_MANY = "Raise the limit of open files of this user (ulimit -Hn), or run fewer tasks at a time."
_HINTS = {errno.EMFILE: _TOO_MANY, errno.ENFILE: _TOO_MANY}


class TaskLock:
    """Held for the duration of the `with` block. Raises LockedError `state.locked` if another process or run holds
    it, and SystemFault `state.write_failed` if it cannot be taken, such as on a full or read-only disk."""

    fence = ""
    is_held = True
    """The kernel releases it only when this process closes it."""

    def __init__(self, path: Path, task: str, since: datetime, command: str = "run") -> None:
        self._path = path
        self._task = task
        self._since = since
        self._command = command
        self._descriptor = -1

    def check(self) -> None:
        """Do nothing: nobody can take it."""

    def __enter__(self) -> Self:
        try:
            make_private_folder(self._path.parent)
            self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._note(msgspec.json.encode(this_process(self._since, self._command)))
            except BaseException:
                os.close(self._descriptor)
                raise
        except BlockingIOError as error:
            raise self._locked() from error
        except OSError as error:
            raise SystemFault(
                "state.write_failed",
                f"cannot write the lock file {self._path}: {error.strerror}",
                hint=_HINTS.get(
                    error.errno or 0, "The checkpoint is stored in the same folder, so nothing was started."
                ),
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Keep the file: removing it would allow two later runs to lock two different files with the same name.
        with contextlib.suppress(OSError):  # the note is for people; closing the file releases the lock
            self._note(b"")
        os.close(self._descriptor)

    @staticmethod
    def holder(path: Path) -> TaskLockHolder | None:
        """Return the recorded holder; None if the lock is free, or its holder was killed on this machine."""
        found = _noted(path)
        return None if found is None or has_ended(found) else found

    def _locked(self) -> LockedError:
        return locked(self._task, _noted(self._path), "the lock is released when its process exits")

    def _note(self, content: bytes) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)


def _noted(path: Path) -> TaskLockHolder | None:
    try:
        return decode_holder(path.read_bytes())
    except OSError:
        return None
