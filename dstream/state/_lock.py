"""One writer per task: an flock that the kernel releases when its holder dies, with a note about the holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import os
import socket
from datetime import datetime
from pathlib import Path
from types import TracebackType

import msgspec

from dstream.errors import LockedError, SystemFault
from dstream.private_files import make_private_folder, open_private

_TOO_MANY = "Raise the limit of open files of this user (ulimit -Hn), or run fewer tasks at a time."
_HINTS = {errno.EMFILE: _TOO_MANY, errno.ENFILE: _TOO_MANY}


class TaskLockHolder(msgspec.Struct, frozen=True):
    """The holder of a lock; `since` in UTC, RFC 3339."""

    pid: int
    host: str
    user: str
    since: str
    command: str = ""
    """What it runs, for display: `run`, `init`, `destroy`; empty in notes of older versions."""

    def __str__(self) -> str:
        command = f", dstream {self.command}" if self.command else ""
        return f"{self.user}@{self.host} (pid {self.pid}{command}) since {self.since}"


class TaskLock:
    """Held for the duration of the `with` block. Raises LockedError `state.locked` if another process or run holds
    it, and SystemFault `state.write_failed` if it cannot be taken, such as on a full or read-only disk."""

    def __init__(self, path: Path, task: str, since: datetime, command: str = "run") -> None:
        self._path = path
        self._task = task
        self._since = since
        self._command = command
        self._descriptor = -1

    def __enter__(self) -> TaskLock:
        try:
            make_private_folder(self._path.parent)
            self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._note(msgspec.json.encode(_this_process(self._since, self._command)))
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
        """Return the recorded holder; None if the lock is free."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=TaskLockHolder)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _locked(self) -> LockedError:
        holder = self.holder(self._path)
        who = f"by {holder}" if holder else "by another run"
        return LockedError(
            "state.locked",
            f'task "{self._task}" is locked {who}',
            hint="Wait for it or stop it; the lock is released when its process exits.",
        )

    def _note(self, content: bytes) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)


def _this_process(since: datetime, command: str) -> TaskLockHolder:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry for this uid, as in many containers
        user = str(os.getuid())
    since_text = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return TaskLockHolder(os.getpid(), socket.gethostname(), user, since_text, command)
