"""A compiled expression, and what compiling one statement gathers on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.closures import Closure, number_of
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.environment import SystemView


@dataclass(frozen=True, slots=True)
class Ex:
    """SQL text for SQLite with the T-SQL type of its value.

    `type` is None for a NULL literal and for an undeclared parameter (`unknown` names it).
    """

    sql: str
    type: SqlType | None
    nullable: bool = True
    collation: str = ""
    """Set by COLLATE: the SQL Server name."""
    unknown: str = ""
    name: str = ""
    identity: bool = False
    computed: bool = False
    literal: str | None = None
    """The text of a string literal."""
    predicate: bool = False


@dataclass(slots=True)
class Gathered:
    """What the plan of a statement needs besides its SQL."""

    variables: dict[str, str] = field(default_factory=dict)
    """T-SQL variable to the SQLite parameter that stands for it."""
    session_values: dict[str, str] = field(default_factory=dict)
    tables: set[int] = field(default_factory=set)
    views: dict[str, SystemView] = field(default_factory=dict)
    locks: list[tuple[int, str]] = field(default_factory=list)
    """Table locks asked for by hints: (table id, S or X)."""
    suggestions: dict[str, SqlType] = field(default_factory=dict)
    """Types of undeclared parameters."""
    compares_text: bool = False
    """See storage/text_joins.py."""


def f1(key: Hashable, build: Callable[[], Closure], operand: str) -> str:
    """A call of a one-argument function; NULL gives NULL."""
    return f"f1({number_of(key, build)},{operand})"


def f2(key: Hashable, build: Callable[[], Closure], left: str, right: str) -> str:
    return f"f2({number_of(key, build)},{left},{right})"


def fn(key: Hashable, build: Callable[[], Closure], *args: str) -> str:
    """A function that sees NULLs."""
    return f"fn({','.join((str(number_of(key, build)), *args))})"


def fv(key: Hashable, build: Callable[[], Closure], *args: str) -> str:
    """A volatile function: called again for each row."""
    return f"fv({','.join((str(number_of(key, build)), *args))})"


def quote(text: str) -> str:
    """A SQLite string literal."""
    if "\0" in text:
        return f"CAST(X'{text.encode().hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"
