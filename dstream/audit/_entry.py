"""One line of the audit log."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1
AuditResult = Literal["succeeded", "failed", "interrupted"]


class AuditOrigin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who ran the command, and where."""

    user: str
    """The account that the process runs as, by its effective user id."""
    host: str
    pid: int
    login: str = ""
    """The account that logged in, which `sudo` and `su` keep; empty if the kernel does not know one."""
    actor: str = ""
    """On whose behalf, as the environment says; not verified."""
    ssh_from: str = ""
    """The address of the SSH client, as the environment says; not verified."""


class AuditedError(msgspec.Struct, frozen=True, omit_defaults=True):
    """The code of an error, without its message, which may quote the configuration."""

    code: str
    task: str = ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The intent of a change, or its result. Contains no secrets."""

    schema_version: int
    time: str
    """UTC, RFC 3339."""
    change: str
    """The same for the intent and the result of one change."""
    phase: Literal["intent", "result"]
    command: str
    """Without arguments: `init`, `state rm`."""
    tasks: tuple[str, ...]
    stack: str
    config: str
    """The absolute path of the HCL file or folder."""
    origin: AuditOrigin
    dstream: str
    """The version."""
    details: dict[str, Any] = {}
    """What changes, or what has changed; depends on the command."""
    result: AuditResult | None = None
    errors: tuple[AuditedError, ...] = ()
    previous: str
    """SHA-256 of the line before, without its line break; empty in the first line."""


def encode_entry(entry: AuditEntry) -> bytes:
    """Return the line, without its line break."""
    return msgspec.json.encode(entry)


def decode_entry(line: bytes) -> AuditEntry:
    """Raises ValueError for a line that is not an entry."""
    try:
        return msgspec.json.decode(line, type=AuditEntry)
    except RecursionError as error:
        raise ValueError("too deeply nested") from error
