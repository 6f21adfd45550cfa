"""Server cursors (sp_cursoropen and similar), static and read-only: the result is kept, and fetches move over it.

A client that requests another kind is told which kind it got, as when SQL Server downgrades a cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dstream_sandbox.sqlserver.session import (
    Column,
    Columns,
    Done,
    Event,
    Message,
    OutputValue,
    Param,
    ReturnStatus,
    Rows,
    SqlError,
)
from dstream_sandbox.sqlserver.tds.arguments import Arguments
from dstream_sandbox.sqlserver.tds.prepared import PreparedStatements, Statement, statement
from dstream_sandbox.sqlserver.tds.response import CursorColumns
from dstream_sandbox.sqlserver.tds.tokens import is_error
from dstream_sandbox.sqlserver.values import Row, SqlType

Execute = Callable[[str, Sequence[Param], str], Iterator[Event]]

_INT = SqlType("int")

# sp_cursoropen (Microsoft Learn), scrollopt and ccopt.
_STATIC, _PARAMETERIZED, _AUTO_FETCH, _AUTO_CLOSE = 0x0008, 0x1000, 0x2000, 0x4000
_READ_ONLY = 0x0001

# sp_cursorfetch (Microsoft Learn), fetchtype.
_FIRST, _NEXT, _PREVIOUS, _LAST, _ABSOLUTE, _RELATIVE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_REFRESH, _INFO, _PREVIOUS_NO_ADJUST = 0x80, 0x100, 0x200

# sp_cursor (Microsoft Learn), optype: drivers use these to read columns of a row they have fetched.
_REFRESH_ROW, _SET_POSITION = 0x08, 0x20

_ROW_STATUS = Column("rowstat", _INT, nullable=False)
_FETCHED = 1


@dataclass(slots=True)
class _Cursor:
    columns: tuple[Column, ...]
    rows: list[Row]
    start: int = -1
    """Index of the first row of the last fetch: -1 is before the first row, len(rows) after the last."""
    fetched: int = 0

    def move(self, kind: int, row_number: int, count: int) -> list[Row]:
        """Return the rows of a fetch and move the cursor to them."""
        size = len(self.rows)
        behind = self.start + max(self.fetched, 1)
        start = {
            _FIRST: 0,
            _NEXT: 0 if self.start < 0 else behind,
            _PREVIOUS: self.start - count,
            _PREVIOUS_NO_ADJUST: self.start - count,
            _LAST: size - count,
            _ABSOLUTE: row_number - 1 if row_number > 0 else size + row_number,
            _RELATIVE: self.start + row_number,
            _REFRESH: self.start,
        }.get(kind)
        if start is None:
            raise SqlError(16902, "sp_cursorfetch: The value of the parameter 'fetchtype' is invalid.")
        if kind in (_PREVIOUS, _LAST) and start < 0 and self.start != 0:
            start = 0
        found = self.rows[max(start, 0) : max(start + count, 0)]
        self.start = min(max(start, -1), size)
        self.fetched = len(found)
        return found

    def fetched_rows(self, row_number: int) -> list[Row]:
        """Return the rows of the last fetch, or one of them, counted from 1."""
        first = max(self.start, 0)
        if row_number:
            return self.rows[first + row_number - 1 : first + row_number]
        return self.rows[first : first + self.fetched]


class Cursors:
    """One connection's cursors."""

    def __init__(self, execute: Execute, prepared: PreparedStatements) -> None:
        self._execute = execute
        self._prepared = prepared
        self._cursors: dict[int, _Cursor] = {}
        self._last_handle = 180150002
        self.procedures: dict[str, Callable[[Arguments], Iterator[Event]]] = {
            "sp_cursor": self._modify,
            "sp_cursoropen": self._open,
            "sp_cursorprepare": self._prepare,
            "sp_cursorexecute": self._execute_prepared,
            "sp_cursorprepexec": self._prepare_and_execute,
            "sp_cursorunprepare": self._unprepare,
            "sp_cursorfetch": self._fetch,
            "sp_cursoroption": self._option,
            "sp_cursorclose": self._close,
        }

    def clear(self) -> None:
        """Discard all cursors, because the connection was reset."""
        self._cursors.clear()

    def _open(self, arguments: Arguments) -> Iterator[Event]:
        arguments.skip("@cursor")
        sql = arguments.text("@stmt")
        options = arguments.integer("@scrollopt", default=_STATIC)
        arguments.skip("@ccopt")
        arguments.skip("@rowcount")
        declarations = arguments.text("@paramdef", optional=True) if options & _PARAMETERIZED else ""
        yield from self._start(statement(sql, declarations), arguments.rest(), options)

    def _prepare(self, arguments: Arguments) -> Iterator[Event]:
        arguments.skip("@prepared_handle")
        declarations = arguments.text("@params", optional=True)
        sql = arguments.text("@stmt")
        yield OutputValue("@prepared_handle", _INT, self._prepared.prepare(sql, declarations))
        yield from _downgraded()
        yield ReturnStatus(0)

    def _execute_prepared(self, arguments: Arguments) -> Iterator[Event]:
        prepared = self._prepared.statement(arguments.integer("@prepared_handle"))
        arguments.skip("@cursor")
        options = arguments.integer("@scrollopt", default=_STATIC)
        arguments.skip("@ccopt")
        arguments.skip("@rowcount")
        yield from self._start(prepared, arguments.rest(), options)

    def _prepare_and_execute(self, arguments: Arguments) -> Iterator[Event]:
        old = arguments.integer("@prepared_handle", default=0)
        arguments.skip("@cursor")
        declarations = arguments.text("@params", optional=True)
        sql = arguments.text("@stmt")
        options = arguments.integer("@scrollopt", default=_STATIC)
        arguments.skip("@ccopt")
        arguments.skip("@rowcount")
        if old:
            self._prepared.unprepare(old)
        handle = self._prepared.prepare(sql, declarations)
        yield OutputValue("@prepared_handle", _INT, handle)
        yield from self._start(self._prepared.statement(handle), arguments.rest(), options)

    def _unprepare(self, arguments: Arguments) -> Iterator[Event]:
        self._prepared.unprepare(arguments.integer("@prepared_handle"))
        yield ReturnStatus(0)

    def _start(self, prepared: Statement, params: Sequence[Param], options: int) -> Iterator[Event]:
        """Run the statement, keep its first result, and return its columns and the cursor's handle."""
        result = _FirstResult()
        yield from result.rest_of(self._execute(prepared.sql, prepared.bind(params), prepared.declarations))
        if result.error:
            yield ReturnStatus(result.error)
            return
        if result.columns is None:
            yield OutputValue("@cursor", _INT, 0)
            yield from _downgraded(0)
            yield ReturnStatus(0)
            return
        cursor = _Cursor(result.columns, result.rows)
        self._last_handle += 1
        handle = self._last_handle
        self._cursors[handle] = cursor
        yield from self._open_columns(cursor, handle, options)
        yield OutputValue("@cursor", _INT, handle if handle in self._cursors else 0)
        yield from _downgraded(len(cursor.rows))
        yield ReturnStatus(0)

    def _open_columns(self, cursor: _Cursor, handle: int, options: int) -> Iterator[Event]:
        if not options & _AUTO_FETCH:
            yield CursorColumns((*cursor.columns, _ROW_STATUS))
            yield Done(0, is_select=True)
            return
        yield from _result(cursor, cursor.move(_NEXT, 0, 1))
        if options & _AUTO_CLOSE and len(cursor.rows) <= 1:
            del self._cursors[handle]

    def _fetch(self, arguments: Arguments) -> Iterator[Event]:
        cursor = self._get("sp_cursorfetch", arguments)
        kind = arguments.integer("@fetchtype", default=_NEXT) & 0xFFF
        row_number = arguments.take("@rownum")
        count = arguments.take("@nrows")
        if kind == _INFO:
            yield OutputValue("@rownum", _INT, min(cursor.start + 1, len(cursor.rows)))
            yield OutputValue("@nrows", _INT, len(cursor.rows))
            yield ReturnStatus(0)
            return
        found = cursor.move(kind, _number(row_number, 0), _number(count, 20))
        yield from _result(cursor, found)
        yield ReturnStatus(0)

    def _option(self, arguments: Arguments) -> Iterator[Event]:
        # TEXTPTR_ONLY and the cursor's name: neither affects what a read-only cursor returns.
        self._get("sp_cursoroption", arguments)
        yield ReturnStatus(0)

    def _close(self, arguments: Arguments) -> Iterator[Event]:
        handle = arguments.integer("@cursor")
        if handle == -1:
            self._cursors.clear()
        elif self._cursors.pop(handle, None) is None:
            raise _invalid("sp_cursorclose", handle)
        yield ReturnStatus(0)

    def _modify(self, arguments: Arguments) -> Iterator[Event]:
        cursor = self._get("sp_cursor", arguments)
        operation = arguments.integer("@optype")
        if operation & ~_SET_POSITION != _REFRESH_ROW:
            raise SqlError(16929, "The cursor is READ ONLY.")
        row_number = arguments.integer("@rownum", default=0)
        yield from _result(cursor, cursor.fetched_rows(row_number))
        yield ReturnStatus(0)

    def _get(self, procedure: str, arguments: Arguments) -> _Cursor:
        handle = arguments.integer("@cursor")
        if handle not in self._cursors:
            raise _invalid(procedure, handle)
        return self._cursors[handle]


class _FirstResult:
    """Takes the first result out of a statement's events and passes the others on."""

    def __init__(self) -> None:
        self.columns: tuple[Column, ...] | None = None
        self.rows: list[Row] = []
        self.error = 0
        self._is_open = False

    def rest_of(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            match event:
                case Columns() if self.columns is None:
                    self.columns = event.columns
                    self._is_open = True
                case Rows() if self._is_open:
                    self.rows.extend(event.rows)
                case Done() if self._is_open:
                    self._is_open = False
                case ReturnStatus():
                    pass
                case Message() if is_error(event):
                    self.error = event.number
                    yield event
                case _:
                    yield event


def _result(cursor: _Cursor, rows: Sequence[Row]) -> Iterator[Event]:
    yield CursorColumns((*cursor.columns, _ROW_STATUS))
    if rows:
        yield Rows([(*row, _FETCHED) for row in rows])
    yield Done(len(rows), is_select=True)


def _downgraded(row_count: int | None = None) -> Iterator[Event]:
    yield OutputValue("@scrollopt", _INT, _STATIC)
    yield OutputValue("@ccopt", _INT, _READ_ONLY)
    if row_count is not None:
        yield OutputValue("@rowcount", _INT, row_count)


def _number(param: Param | None, default: int) -> int:
    return param.value if param is not None and isinstance(param.value, int) else default


def _invalid(procedure: str, handle: int) -> SqlError:
    return SqlError(16909, f"{procedure}: The cursor identifier value provided ({handle:x}) is not valid.")
