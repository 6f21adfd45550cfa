"""The locks of a stack: their holders, and removal of locks whose process is dead."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dstream.errors import ConfigError, LockedError

if TYPE_CHECKING:
    from dstream.infra.engine.environment import StackLocation
    from dstream.protocol.messages import Infrastructure

_CREATED_BY = re.compile(r"created by (?P<user>[^@\s]*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
_ACTIVITIES = {b"up": "dstream init", b"destroy": "dstream destroy", b"refresh": "reading the actual state"}
_CLOCK_STEP_S = 5.0
"""Tolerance between a process's start time and its lock's timestamp, for rounding."""


@dataclass(frozen=True, slots=True)
class StackLockHolder:
    """A process that holds a stack's lock, dead or alive."""

    user: str
    host: str
    pid: int
    since: str
    """In the engine's format: `2026-11-25T21:11:51.628955519Z`."""
    file: Path | None = None
    """The lock file, in a file backend."""

    def __str__(self) -> str:
        since = self.since.partition(".")[0].removesuffix("Z").replace("T", " ")
        activity = f", {self.activity}" if self.activity else ""
        return f"{self.user}@{self.host} (pid {self.pid}{activity}) since {since} UTC"

    @property
    def activity(self) -> str:
        """What the engine is doing, if it runs on this host: the command that started it; empty if unknown."""
        if self.host != socket.gethostname():
            return ""
        try:
            arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ""
        return next((doing for each, doing in _ACTIVITIES.items() if each in arguments), "")

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to be dead; a holder on another host counts as alive."""
        return self.host == socket.gethostname() and not _lives(self.pid, self.since)


def holders(infrastructure: Infrastructure, environ: Mapping[str, str]) -> list[StackLockHolder]:
    """Return the current holders of the task's stack, oldest first.

    Raises ConfigError `infra.lock_unreadable` for a backend whose locks only the engine can see.
    """
    from dstream.infra.engine.environment import place_of

    place = place_of(infrastructure, environ)
    if place.lock_folder is None:
        raise ConfigError(
            "infra.lock_unreadable",
            f"the locks in {place.backend_url} cannot be listed",
            hint="Run a command on the stack: if it is locked, the error names the holder.",
        )
    return holders_in(place)


def holders_in(place: StackLocation) -> list[StackLockHolder]:
    """Return the lock holders in a file backend; empty for other backends."""
    found = []
    for file in sorted(place.lock_folder.glob("*.json")) if place.lock_folder else ():
        try:
            lock = json.loads(file.read_bytes())
            found.append(StackLockHolder(lock["username"], lock["hostname"], int(lock["pid"]), lock["timestamp"], file))
        except (OSError, ValueError, KeyError):
            continue  # released, or still being written
    return sorted(found, key=lambda each: each.since)


def named_in(text: str) -> list[StackLockHolder]:
    """Return the holders named in an engine message: `created by USER@HOST (pid N) at TIME`."""
    return [
        StackLockHolder(match["user"], match["host"], int(match["pid"]), match["since"])
        for match in _CREATED_BY.finditer(text)
    ]


def remove_dead(place: StackLocation) -> list[StackLockHolder]:
    """Remove and return the locks of processes that are dead on this host."""
    dead = [each for each in holders_in(place) if each.is_dead]
    remove(dead)
    return dead


def locked(held_by: Sequence[StackLockHolder]) -> LockedError:
    """Return the error for a locked stack."""
    who = ", ".join(str(each) for each in held_by) or "another command"
    return LockedError(
        "infra.locked",
        f"the infrastructure is locked by {who}",
        hint="Wait, or set --lock-timeout. If the holder no longer exists, run `dstream unlock`.",
    )


def remove(locks: Sequence[StackLockHolder]) -> None:
    """Delete lock files of a file backend."""
    for each in locks:
        assert each.file is not None
        for file in (each.file, each.file.with_name(f"{each.file.name}.attrs")):
            file.unlink(missing_ok=True)


def _lives(pid: int, since: str) -> bool:
    """Whether a process with this id exists and started before the lock was created."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, owned by another user
    if _stat(pid)[:1] == ["Z"]:
        return False  # a zombie
    began = _began(pid)
    made = _seconds(since)
    return began is None or made is None or began <= made + _CLOCK_STEP_S


def _began(pid: int) -> float | None:
    """Return the process's start in seconds since 1970; None if unknown (proc_pid_stat(5), field 22)."""
    stat = _stat(pid)
    if not stat:
        return None
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(stat[19]) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, starting with the state; empty without that file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _seconds(since: str) -> float | None:
    try:
        return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", since).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
