"""Runs statements on one connection, one at a time, each in one round trip, and translates the driver's errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from dstream_mssql_cdc import errors
from dstream_mssql_cdc.records.events import CONTROL_COLUMNS, ChangeRow, EventBuilder
from dstream_mssql_cdc.server import half_pairs

if TYPE_CHECKING:
    import pyodbc

_FETCH_ROWS = 500
_LARGE_FETCH_ROWS = 16
"""Small rows can be followed by rows with values of up to half of max_line."""
_SIZED = (str, bytes)


class SqlSession:
    """Owns the connection."""

    def __init__(
        self,
        connection: pyodbc.Connection,
        *,
        database: str,
        login: str,
        awaiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_half_pairs: Callable[[str, str, str], None] = lambda *_: None,
    ) -> None:
        """`awaiting`: entered around each query, to report one that is not answered. `on_half_pairs`: called for the
        first row of a page whose text was changed (half_pairs.py), with the table, the column and the row's key."""
        self.connection = connection
        self.login = login
        self._database = database
        self._awaiting = awaiting
        self._on_half_pairs = on_half_pairs
        self._cursor: pyodbc.Cursor | None = None
        """A cursor without results, to be used again."""

    def close(self) -> None:
        import pyodbc

        try:
            self.connection.close()
        except pyodbc.Error:
            pass  # The connection is broken, so there is nothing to release.

    def run(self, statement: str) -> None:
        """Run a batch without using its results, to its end. Raises the errors of errors.py."""
        with self.results(statement) as results:
            while results.has_next():
                pass

    @contextmanager
    def results(self, statement: str, *parameters: object) -> Iterator[Results]:
        """Run a batch. Raises the errors of errors.py.

        Each batch is one round trip, since all use the same cursor: the driver releases a prepared statement together
        with the next one that it prepares, but when a cursor is closed, with a request of its own (sp_unprepare).
        """
        with self.asking():
            cursor, self._cursor = self._cursor or self.connection.cursor(), None
            try:
                cursor.execute(statement, parameters)
                results = Results(cursor)
                yield results
                if not results.is_cut and not results.has_next():
                    self._cursor = cursor
            finally:
                if self._cursor is None:
                    cursor.close()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Enter it around each use of a cursor."""
        import pyodbc

        began_s = time.monotonic()
        try:
            with self._awaiting():
                yield
        except pyodbc.Error as error:
            translated = errors.translate(error, login=self.login, database=self._database, connected=True)
            if isinstance(translated, errors.ReadInterrupted):
                translated.awaited_s = time.monotonic() - began_s
            raise translated from error

    def accepting_half_pairs(self) -> AbstractContextManager[None]:
        return half_pairs.accepted(self.connection)

    def without_half_pairs(self, rows: Sequence[Any], builder: EventBuilder, first: int) -> list[Any]:
        """Rows without half pairs; `first` is the place of the first column. Reports the first row that had one."""
        checked = [half_pairs.replaced(row) for row in rows]
        changed = next(((row, places[0]) for row, places in checked if places), None)
        if changed is not None:
            row, at = changed
            lsn = row[0] if first == CONTROL_COLUMNS else b""
            shape = builder.shape
            self._on_half_pairs(shape.name, shape.columns[at - first].name, builder.key_text(row[first:], lsn))
        return [row for row, _ in checked]


class Results:
    """The results of a batch, in order."""

    def __init__(self, cursor: pyodbc.Cursor) -> None:
        self._cursor = cursor
        self.is_cut = False
        """Whether there are rows that are not to be fetched."""

    def rows(self) -> list[Any]:
        return list(self._cursor.fetchall())

    def has_next(self) -> bool:
        return bool(self._cursor.nextset())

    def next_rows(self) -> list[Any]:
        self._cursor.nextset()
        return list(self._cursor.fetchall())

    def next_named_rows(self) -> list[dict[str, Any]]:
        rows = self.next_rows()
        names = [column[0] for column in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def limited_rows(self, builder: EventBuilder, max_rows: int, max_bytes: int) -> tuple[list[ChangeRow], bool]:
        """Fetch at most `max_rows` until their values exceed `max_bytes`, and return whether they do. Fetches only a
        few at a time, and counts their bytes, if they may be too large."""
        if not builder.is_wide or builder.is_within(max_rows, max_bytes):
            return list(self._cursor.fetchmany(max_rows)), False
        rows: list[ChangeRow] = []
        size, largest, ask = 0, 1, 1
        most = _LARGE_FETCH_ROWS if builder.has_lobs else _FETCH_ROWS
        while size <= max_bytes and (ask := min(ask, max_rows - len(rows))):
            if not (fetched := self._cursor.fetchmany(ask)):
                break
            rows += fetched
            sizes = [sum(len(value) for value in row if value.__class__ in _SIZED) for row in fetched]
            size += sum(sizes)
            largest = max(largest, *sizes)
            ask = max(1, min(most, (max_bytes - size) // largest, 2 * ask))
        builder.learn(len(rows), size)
        self.is_cut = size > max_bytes
        return rows, self.is_cut
