"""Who holds a task: shown to everyone who has to wait."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import datetime

import msgspec

from dstream.errors import LockedError


class TaskLockHolder(msgspec.Struct, frozen=True):
    """The holder of a lock or lease; `since` in UTC, RFC 3339."""

    pid: int
    host: str
    user: str
    since: str
    command: str = ""
    """What it runs, for display: `run`, `init`, `destroy`; empty in notes of older versions."""

    def __str__(self) -> str:
        command = f", dstream {self.command}" if self.command else ""
        return f"{self.user}@{self.host} (pid {self.pid}{command}) since {self.since}"


def this_process(since: datetime, command: str) -> TaskLockHolder:
    """Return this process as a holder."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry for this uid, as in many containers
        user = str(os.getuid())
    since_text = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return TaskLockHolder(os.getpid(), socket.gethostname(), user, since_text, command)


def decode_holder(note: bytes | str) -> TaskLockHolder | None:
    """Return the holder that a note names; None if there is none or it is damaged."""
    try:
        return msgspec.json.decode(note, type=TaskLockHolder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def has_ended(holder: TaskLockHolder) -> bool:
    """Return whether the holder was a process of this machine and is gone. Its number may belong to another one now."""
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's, or no number of a process
        return False
    return False


def locked(task: str, holder: TaskLockHolder | None, until: str) -> LockedError:
    """Return the error for a task that another process holds. `until`: when it is released, for the hint."""
    who = f"by {holder}" if holder else "by another run"
    return LockedError("state.locked", f'task "{task}" is locked {who}', hint=f"Wait for it or stop it; {until}.")
