"""A compiled expression, and what the compilation of one statement collects."""

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

    `type` is None for a NULL literal and for an undeclared parameter, whose name is in `unknown`.
    """

    sql: str
    type: SqlType | None
    nullable: bool = True
    collation: str = ""
    """The SQL Server collation, set by COLLATE."""
    unknown: str = ""
    name: str = ""
    identity: bool = False
    computed: bool = False
    literal: str | None = None
    """The text of a string literal."""
    predicate: bool = False
    masked: bool = False
    """A column that the session may read only masked."""


@dataclass(slots=True)
class Gathered:
    """What the plan of a statement needs in addition to its SQL."""

    variables: dict[str, str] = field(default_factory=dict)
    """T-SQL variable to the SQLite parameter that represents it."""
    session_values: dict[str, str] = field(default_factory=dict)
    tables: set[int] = field(default_factory=set)
    views: dict[str, SystemView] = field(default_factory=dict)
    locks: list[tuple[int, str]] = field(default_factory=list)
    """Table locks requested by hints: (table id, S or X)."""
    suggestions: dict[str, SqlType] = field(default_factory=dict)
    """Types of undeclared parameters."""
    compares_text: bool = False
    """See storage/text_joins.py."""


def f1(key: Hashable, build: Callable[[], Closure], operand: str) -> str:
    """Call a one-argument function; NULL gives NULL."""
    return f"f1({number_of(key, build)},{operand})"


def f2(key: Hashable, build: Callable[[], Closure], left: str, right: str) -> str:
    return f"f2({number_of(key, build)},{left},{right})"


def fn(key: Hashable, build: Callable[[], Closure], *args: str) -> str:
    """Call a function that receives NULLs."""
    return f"fn({','.join((str(number_of(key, build)), *args))})"


def fv(key: Hashable, build: Callable[[], Closure], *args: str) -> str:
    """Call a volatile function: it is evaluated for each row."""
    return f"fv({','.join((str(number_of(key, build)), *args))})"


def quote(text: str) -> str:
    """Return a SQLite string literal."""
    if "\0" in text:
        return f"CAST(X'{text.encode().hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"
