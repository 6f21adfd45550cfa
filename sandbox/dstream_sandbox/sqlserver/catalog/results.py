"""What catalog procedures share: reading arguments, querying the session's views, returning a result set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from dstream_sandbox.sqlserver.session import (
    Column,
    Columns,
    Done,
    Event,
    Message,
    Param,
    ReturnStatus,
    Rows,
    SqlError,
)
from dstream_sandbox.sqlserver.values import Row, SqlType, Value

SYSNAME = SqlType("nvarchar", 128)
INT = SqlType("int")
SMALLINT = SqlType("smallint")


class CatalogSession(Protocol):
    """What a catalog procedure needs from a session."""

    @property
    def database(self) -> str: ...

    def execute(self, sql: str, params: Sequence[Param] = (), *, declarations: str = "") -> Iterator[Event]: ...
    def describe(self, sql: str, declarations: str = "") -> tuple[Column, ...]: ...
    def describe_parameters(self, sql: str, declarations: str = "") -> list[tuple[str, SqlType]]: ...


CatalogProcedure = Callable[[CatalogSession, Sequence[Param]], Iterator[Event]]


def columns(*declared: tuple[str, SqlType]) -> tuple[Column, ...]:
    """Return the columns of a result set."""
    return tuple(Column(name, sql_type) for name, sql_type in declared)


def result(head: Sequence[Column], rows: Sequence[Row]) -> Iterator[Event]:
    """Yield one result set and a return status of 0."""
    yield Columns(tuple(head))
    if rows:
        yield Rows(rows)
    yield Done(len(rows), is_select=True)
    yield ReturnStatus(0)


def arguments(params: Sequence[Param], declared: Sequence[str]) -> Mapping[str, Value]:
    """Return arguments by the lower-case names that the procedure declares. Raises SqlError 8144 or 8145."""
    values: dict[str, Value] = {}
    for position, param in enumerate(params):
        name = param.name.lower()
        if not name and position >= len(declared):
            raise SqlError(8144, "Procedure or function has too many arguments specified.")
        if name and name not in declared:
            raise SqlError(8145, f"{param.name} is not a parameter for the procedure.")
        values[name or declared[position]] = param.value
    return values


def text(values: Mapping[str, Value], name: str) -> str | None:
    """Return a text argument; None if it is absent or NULL."""
    value = values.get(name)
    return None if value is None else str(value)


def number(values: Mapping[str, Value], name: str, default: int) -> int:
    """Return a numeric argument."""
    value = values.get(name)
    return value if isinstance(value, int) else default


def query(session: CatalogSession, sql: str) -> list[Row]:
    """Return the rows of a SELECT. Raises SqlError if it fails."""
    rows: list[Row] = []
    for event in session.execute(sql):
        if isinstance(event, Rows):
            rows.extend(event.rows)
        elif isinstance(event, Message) and event.severity > 10:
            raise SqlError(event.number, event.text, severity=event.severity, state=event.state)
    return rows


def matches(value: str, pattern: str | None, *, is_pattern: bool = True) -> bool:
    """Whether a name matches an argument: LIKE with % _ [] and the escape \\, or the plain name; None matches all."""
    if pattern is None:
        return True
    if not is_pattern:
        return value.lower() == pattern.lower()
    return _like(pattern).fullmatch(value) is not None


@lru_cache(maxsize=128)
def _like(pattern: str) -> re.Pattern[str]:
    parts, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        closing = pattern.find("]", position + 2) if character == "[" else -1
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            parts.append(re.escape(pattern[position]))
        elif closing > 0:
            inside = pattern[position + 1 : closing].replace("\\", "\\\\")
            parts.append(f"[{inside}]")
            position = closing
        else:
            parts.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
        position += 1
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
