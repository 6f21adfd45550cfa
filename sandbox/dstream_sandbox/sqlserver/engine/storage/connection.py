"""SQLite connections: pragmas, and SQL Server's collations."""

from __future__ import annotations

import sqlite3
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

_LOG_KEPT_BYTES = 64 << 20
"""The write-ahead log shrinks back to this size after a large transaction."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection in autocommit mode; the caller issues BEGIN. COMMIT is on disk before it returns."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=400, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = FILE")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_KEPT_BYTES}")
    connection.create_collation("ci", _by_ci)
    connection.create_collation("cs", _by_cs)
    connection.create_collation("ai", _by_ai)
    connection.create_collation("bin", _by_bin)
    return connection


def collation_for(name: str | None) -> str:
    """Return the SQLite collation of a SQL Server collation name, from its _CI_AS, _CS, _AI and _BIN parts."""
    upper = (name or "").upper()
    if "_BIN" in upper:
        return "bin"
    if "_CS" in upper:
        return "cs"
    return "ai" if "_AI" in upper else "ci"


K = TypeVar("K", str, tuple[str, str])


def _order(left: K, right: K) -> int:
    return (left > right) - (left < right)


def _by_ci(left: str, right: str) -> int:
    return 0 if left == right else _order(ci_key(left), ci_key(right))


def _by_cs(left: str, right: str) -> int:
    if left == right:
        return 0
    return _order(ci_key(left), ci_key(right)) or _order(_swapped(left), _swapped(right))


def _by_ai(left: str, right: str) -> int:
    return 0 if left == right else _order(ci_key(left)[0], ci_key(right)[0])


def _by_bin(left: str, right: str) -> int:
    return _order(left.rstrip(" "), right.rstrip(" "))


def _swapped(text: str) -> str:
    """Swap case, so that lower case sorts before upper case."""
    return text.rstrip(" ").swapcase()


_ASCII = {code: chr(code).upper() if chr(code).isalnum() else "\0" + chr(code) for code in range(128)}
"""A zero before punctuation sorts it before digits and letters."""


@lru_cache(maxsize=50_000)
def ci_key(text: str) -> tuple[str, str]:
    """Sort key that ignores trailing blanks and case; punctuation, then digits, then letters; accents break ties."""
    stripped = text.rstrip(" ")
    if stripped.isascii():
        return stripped.translate(_ASCII), ""
    decomposed = unicodedata.normalize("NFD", stripped)
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    accents = "".join(c if unicodedata.combining(c) else " " for c in decomposed).rstrip(" ")
    return letters.translate(_ASCII).upper(), accents
