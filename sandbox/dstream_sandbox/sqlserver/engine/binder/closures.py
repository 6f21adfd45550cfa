"""Python functions called by compiled SQL. A compiled plan refers to a function by number, so that one SQLite function
per arity serves every conversion, operator and scalar function of T-SQL, with its types already resolved."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Hashable
from typing import Any

from dstream_sandbox.sqlserver.session import SqlError

Closure = Callable[..., Any]

_closures: list[Closure] = []
_numbers: dict[Hashable, int] = {}
_lock = threading.Lock()


def number_of(key: Hashable, build: Callable[[], Closure]) -> int:
    """Return the number of the function for `key`, which `build` creates the first time."""
    found = _numbers.get(key)
    if found is not None:
        return found
    function = build()
    with _lock:
        found = _numbers.get(key)
        if found is None:
            _closures.append(function)
            found = _numbers[key] = len(_closures) - 1
    return found


class ErrorBox:
    """Keeps the exception raised inside a function: SQLite reports only that the function failed."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None

    def take(self) -> Exception | None:
        error, self.error = self.error, None
        return error


def register(connection: sqlite3.Connection) -> ErrorBox:
    """Add to a connection the functions `f1` (one argument, NULL in NULL out), `f2`, `fn` (receives NULLs) and `fv`
    (volatile), and the aggregates."""
    box = ErrorBox()
    closures = _closures

    def f1(number: int, value: Any) -> Any:
        if value is None:
            return None
        try:
            return closures[number](value)
        except Exception as error:
            box.error = error
            raise

    def f2(number: int, left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None
        try:
            return closures[number](left, right)
        except Exception as error:
            box.error = error
            raise

    def fn(number: int, *args: Any) -> Any:
        try:
            return closures[number](*args)
        except Exception as error:
            box.error = error
            raise

    connection.create_function("f1", 2, f1, deterministic=True)
    connection.create_function("f2", 3, f2, deterministic=True)
    connection.create_function("fn", -1, fn, deterministic=True)
    connection.create_function("fv", -1, fn)
    _register_aggregates(connection, box)
    return box


def _register_aggregates(connection: sqlite3.Connection, box: ErrorBox) -> None:
    from dstream_sandbox.sqlserver.engine.binder import aggregates  # it imports this module

    aggregates.register(connection, box)


def more_than_one_row() -> SqlError:
    return SqlError(
        512,
        "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or "
        "when the subquery is used as an expression.",
    )
