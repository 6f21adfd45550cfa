"""Placeholders for table names in compiled SQL. The stored object for a name is chosen when a statement runs, because a
session that has changed a table reads its own view of it."""

from __future__ import annotations

import re
from collections.abc import Callable

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(-?\\d+){_CLOSE}")


def mark(table_id: int) -> str:
    return f"{_OPEN}{table_id}{_CLOSE}"


def fill(sql: str, name_of: Callable[[int], str]) -> str:
    return _MARK.sub(lambda m: name_of(int(m[1])), sql)
