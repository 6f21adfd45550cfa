"""Aggregates that SQLite lacks: exact decimals, deviations, joined strings, and the single row of a scalar subquery."""

from __future__ import annotations

import sqlite3
from operator import itemgetter
from typing import Any

from dstream_sandbox.sqlserver.engine.binder.closures import ErrorBox, more_than_one_row
from dstream_sandbox.sqlserver.engine.types.storage import pack_big, unpack_big
from dstream_sandbox.sqlserver.session import SqlError


def register(connection: sqlite3.Connection, box: ErrorBox) -> None:
    def single() -> _Single:
        return _Single(box)

    def sum_exact() -> _SumExact:
        return _SumExact(box)

    def average() -> Any:  # the type stubs lack aggregates of two arguments
        return _AverageExact(box)

    def moments() -> Any:
        return _Moments()

    def joined() -> Any:
        return _Joined()

    connection.create_aggregate("single", 1, single)
    connection.create_window_function("sum_exact", 1, sum_exact)
    connection.create_window_function("avg_exact", 2, average)
    connection.create_window_function("moments", 2, moments)
    connection.create_aggregate("joined", -1, joined)


class _Single:
    """The value of a scalar subquery; error 512 if there are two rows."""

    def __init__(self, box: ErrorBox) -> None:
        self.box, self.seen, self.value = box, False, None

    def step(self, value: Any) -> None:
        if self.seen:
            self.box.error = more_than_one_row()
            raise self.box.error
        self.seen, self.value = True, value

    def finalize(self) -> Any:
        return self.value


class _SumExact:
    """Sum of scaled integers (stored small or big) as a big decimal."""

    def __init__(self, box: ErrorBox) -> None:
        self.box, self.total, self.count = box, 0, 0

    def step(self, value: Any) -> None:
        if value is not None:
            self.total += unpack_big(value) if isinstance(value, bytes) else value
            self.count += 1

    def inverse(self, value: Any) -> None:
        if value is not None:
            self.total -= unpack_big(value) if isinstance(value, bytes) else value
            self.count -= 1

    def value(self) -> bytes | None:
        if not self.count:
            return None
        if abs(self.total) >= 10**38:
            self.box.error = SqlError(8115, "Arithmetic overflow error converting expression to data type numeric.")
            raise self.box.error
        return pack_big(self.total)

    def finalize(self) -> bytes | None:
        return self.value()


class _AverageExact:
    """Average of scaled integers as a big decimal with `digits` more decimals, truncated like SQL Server's division."""

    def __init__(self, box: ErrorBox) -> None:
        self.box, self.total, self.count, self.digits = box, 0, 0, 0

    def step(self, value: Any, digits: int) -> None:
        self.digits = digits
        if value is not None:
            self.total += unpack_big(value) if isinstance(value, bytes) else value
            self.count += 1

    def inverse(self, value: Any, digits: int) -> None:
        if value is not None:
            self.total -= unpack_big(value) if isinstance(value, bytes) else value
            self.count -= 1

    def value(self) -> bytes | None:
        if not self.count:
            return None
        scaled = abs(self.total) * 10**self.digits // self.count
        return pack_big(-scaled if self.total < 0 else scaled)

    def finalize(self) -> bytes | None:
        return self.value()


class _Moments:
    """STDEV, STDEVP, VAR and VARP over floats; the second argument selects which."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.kind = ""

    def step(self, value: Any, kind: str) -> None:
        self.kind = kind
        if value is not None:
            self.values.append(value)

    def inverse(self, value: Any, kind: str) -> None:
        if value is not None:
            self.values.remove(value)

    def value(self) -> float | None:
        count = len(self.values)
        divisor = count if self.kind.endswith("p") else count - 1
        if not count or divisor < 1:
            return None
        mean = sum(self.values) / count
        variance = sum((v - mean) ** 2 for v in self.values) / divisor
        return variance**0.5 if self.kind.startswith("stdev") else variance

    def finalize(self) -> float | None:
        return self.value()


class _Joined:
    """STRING_AGG(value, separator) with optional (key, descending) pairs from WITHIN GROUP."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def step(self, *args: Any) -> None:
        if args[0] is not None:
            self.rows.append(args)

    def finalize(self) -> str | None:
        if not self.rows:
            return None
        width = len(self.rows[0])
        for position in range(width - 2, 1, -2):
            self._sort(position)
        return "".join(r[0] if i == 0 else r[1] + r[0] for i, r in enumerate(self.rows))

    def _sort(self, position: int) -> None:
        """Sort by one key, NULLs lowest. Sorting by the last key first gives the first key precedence."""
        filled = [row for row in self.rows if row[position] is not None]
        empty = [row for row in self.rows if row[position] is None]
        descending = bool(self.rows[0][position + 1])
        filled.sort(key=itemgetter(position), reverse=descending)
        self.rows = filled + empty if descending else empty + filled
