"""Checks the hash chain of an audit log. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from dstream.audit._entry import SCHEMA_VERSION, AuditEntry, decode_entry


@dataclass(frozen=True, slots=True)
class AuditChain:
    """What a check found. `broken_line` counts from 1; 0: the chain is intact."""

    entries: int
    head: str
    """The hash of the last line; empty if there is none."""
    torn: tuple[int, ...]
    """Lines that an interrupted write left incomplete. The line after each one contains its hash."""
    unfinished: tuple[AuditEntry, ...]
    """Intents without a result: the command was killed, or is still running."""
    has_expected: bool
    """Whether a line has the expected hash."""
    broken_line: int = 0
    problem: str = ""


def line_hash(line: bytes) -> str:
    """Return the hash that the next line contains; `line` has no line break."""
    return hashlib.sha256(line).hexdigest()


def check_chain(lines: Iterable[bytes], *, expected: str = "") -> AuditChain:
    """Check lines without line breaks, up to the first broken one. `expected`: a hash noted earlier."""
    entries, head, has_expected = 0, "", not expected
    torn: list[int] = []
    unfinished: dict[str, AuditEntry] = {}
    incomplete, problem = 0, ""
    """The line before, if it is no entry, and why: only torn if this line contains its hash."""
    for number, line in enumerate(lines, 1):
        entry = _entry(line)
        if incomplete and (isinstance(entry, str) or entry.previous != head):
            break
        if isinstance(entry, str):
            incomplete, problem = number, entry
        elif entry.previous != head:
            incomplete, problem = number, _not_chained(number, entry)
            break
        else:
            torn += [incomplete] if incomplete else []
            incomplete, problem = 0, ""
            entries += 1
            if entry.phase == "intent":
                unfinished[entry.change] = entry
            else:
                unfinished.pop(entry.change, None)
        head = line_hash(line)
        has_expected = has_expected or head == expected
    return AuditChain(entries, head, tuple(torn), tuple(unfinished.values()), has_expected, incomplete, problem)


def _entry(line: bytes) -> AuditEntry | str:
    """Return the entry, or why the line is none."""
    try:
        entry = decode_entry(line)
    except ValueError as error:
        return f"it is not a complete entry: {error}"
    if entry.schema_version > SCHEMA_VERSION:
        return f"it has schema version {entry.schema_version}; this DStream supports {SCHEMA_VERSION}"
    return entry


def _not_chained(number: int, entry: AuditEntry) -> str:
    if number == 1:
        return "it is not the first entry of its log: the entries before it are missing"
    if not entry.previous:
        return "it starts a new chain, although other entries precede it"
    return "it does not contain the hash of the line before: that line was changed, or lines between were removed"
