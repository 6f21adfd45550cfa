"""Replayed reads: the tokens of a SELECT are recorded and sent again, so that a benchmark measures the client.

A replay ignores changes of the data. That is its purpose, and why only `--replay-reads` enables it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable, Sequence

from dstream_sandbox.sqlserver.session import Param
from dstream_sandbox.sqlserver.tds.response import Recording

_NO_CODE = re.compile(r"'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[@#\w$]+")
_READS = frozenset({"select", "with", "declare"})
_VARIABLE_SET = re.compile(r"\bset\s+@", re.IGNORECASE)
_CHANGES = frozenset(
    {
        "insert", "update", "delete", "merge", "truncate", "into", "exec", "execute", "create", "alter", "drop", "set",
        "cursor", "begin", "commit", "rollback", "save", "waitfor", "use", "grant", "deny", "revoke", "backup",
        "restore", "kill", "print", "raiserror", "throw", "while", "return", "goto",
    }
)  # fmt: skip


class Replay:
    """All recordings of one server, shared by its connections."""

    def __init__(self) -> None:
        self._recordings: dict[Hashable, Recording] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Recording | None:
        """Return the recording for a key, if there is one."""
        return self._recordings.get(key)

    def keep(self, key: Hashable, recording: Recording) -> None:
        """Store a recording."""
        with self._lock:
            self._recordings[key] = recording


def replay_key(
    database: str, in_procedure: bool, sql: str, params: Sequence[Param], declarations: str
) -> Hashable | None:
    """Return the key of a statement that only reads; None for any other."""
    if not only_reads(sql):
        return None
    return database, in_procedure, sql, declarations, tuple(params)


def only_reads(sql: str) -> bool:
    """Whether the batch begins as a query and contains no word that could change more than its own variables."""
    code = _VARIABLE_SET.sub(" @", _NO_CODE.sub(" ", sql))
    words = [word.lower() for word in _WORD.findall(code)]
    return bool(words) and words[0] in _READS and _CHANGES.isdisjoint(words)
