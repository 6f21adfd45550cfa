"""Who holds a stack, and what becomes of a lock whose holder is dead."""

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
_CLOCK_STEP_S = 5.0
"""How far a process's start and the lock's time may be apart by rounding."""


@dataclass(frozen=True, slots=True)
class StackLockHolder:
    """A process that is changing the infrastructure, or was when it died."""

    user: str
    host: str
    pid: int
    since: str
    """As the engine wrote it: `2026-11-25T21:11:51.628955519Z`."""
    file: Path | None = None
    """The lock of a file backend."""

    def __str__(self) -> str:
        since = self.since.partition(".")[0].removesuffix("Z").replace("T", " ")
        return f"{self.user}@{self.host} (pid {self.pid}) since {since} UTC"

    @property
    def is_dead(self) -> bool:
        """Certain only: a holder on another host counts as alive."""
        return self.host == socket.gethostname() and not _lives(self.pid, self.since)


def holders(infrastructure: Infrastructure, environ: Mapping[str, str]) -> list[StackLockHolder]:
    """Who holds the task's stack now, the oldest first.

    Raises ConfigError `infra.lock_unreadable` for a backend whose locks only the engine can see.
    """
    from dstream.infra.engine.environment import place_of

    place = place_of(infrastructure, environ)
    if place.lock_folder is None:
        raise ConfigError(
            "infra.lock_unreadable",
            f"who holds the lock in {place.backend_url} can't be read from here",
            hint="A command that meets the lock names its holder.",
        )
    return holders_in(place)


def holders_in(place: StackLocation) -> list[StackLockHolder]:
    """Of a file backend; of another one nothing is known here."""
    found = []
    for file in sorted(place.lock_folder.glob("*.json")) if place.lock_folder else ():
        try:
            lock = json.loads(file.read_bytes())
            found.append(StackLockHolder(lock["username"], lock["hostname"], int(lock["pid"]), lock["timestamp"], file))
        except (OSError, ValueError, KeyError):
            continue  # given back, or not yet written to its end, at this moment
    return sorted(found, key=lambda each: each.since)


def named_in(text: str) -> list[StackLockHolder]:
    """The holders that the engine's own message names: `created by USER@HOST (pid N) at TIME`."""
    return [
        StackLockHolder(match["user"], match["host"], int(match["pid"]), match["since"])
        for match in _CREATED_BY.finditer(text)
    ]


def remove_dead(place: StackLocation) -> list[StackLockHolder]:
    """Take away the locks of processes that are dead on this host; the ones that were taken away."""
    dead = [each for each in holders_in(place) if each.is_dead]
    remove(dead)
    return dead


def locked(held_by: Sequence[StackLockHolder]) -> LockedError:
    """The error for what somebody else holds."""
    who = ", ".join(str(each) for each in held_by) or "another command"
    return LockedError(
        "infra.locked",
        f"the infrastructure is locked by {who}",
        hint="Wait for it, or let --lock-timeout wait. If it is gone for good: `dstream unlock`.",
    )


def remove(locks: Sequence[StackLockHolder]) -> None:
    """Of a file backend."""
    for each in locks:
        assert each.file is not None
        for file in (each.file, each.file.with_name(f"{each.file.name}.attrs")):
            file.unlink(missing_ok=True)


def _lives(pid: int, since: str) -> bool:
    """A process with that number that began before the lock was made."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    if _stat(pid)[:1] == ["Z"]:
        return False  # killed, and nobody has asked how it ended
    began = _began(pid)
    made = _seconds(since)
    return began is None or made is None or began <= made + _CLOCK_STEP_S


def _began(pid: int) -> float | None:
    """When the process began, in seconds since 1970; None where that can't be told (proc_pid_stat(5), field 22)."""
    stat = _stat(pid)
    if not stat:
        return None
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(stat[19]) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, from the state on; nothing where there is no such file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _seconds(since: str) -> float | None:
    try:
        return datetime.fromisoformat(re.sub(r"\.(\d{6})\d*", r".\1", since).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
