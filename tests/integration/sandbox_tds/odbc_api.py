"""The few ODBC API calls that pyodbc does not offer: server cursors, SQLGetData with a chosen type."""

from __future__ import annotations

import ctypes
from types import TracebackType

_ODBC = ctypes.CDLL("libodbc.so.2")
for _name in ("SQLSetStmtAttr", "SQLSetEnvAttr", "SQLFetchScroll", "SQLGetData"):
    getattr(_ODBC, _name).restype = ctypes.c_short

_ENV, _DBC, _STMT = 1, 2, 3
_ODBC_VERSION, _VERSION_3 = 200, 3
_CURSOR_TYPE = 6
_NTS = -3
_NO_DATA = 100
_NULL_DATA = -1
_WCHAR = -8

FORWARD_ONLY, KEYSET, DYNAMIC, STATIC = 0, 1, 2, 3
NEXT, FIRST, LAST, PRIOR, ABSOLUTE, RELATIVE = 1, 2, 3, 4, 5, 6


class OdbcError(Exception):
    """SQLSTATE and text of the first diagnostic record."""


class Connection:
    """A connection through the driver manager."""

    def __init__(self, connection_string: str) -> None:
        self._env = _allocate(_ENV, None)
        _ODBC.SQLSetEnvAttr(self._env, _ODBC_VERSION, ctypes.c_void_p(_VERSION_3), 0)
        self._dbc = _allocate(_DBC, self._env)
        raw = connection_string.encode()
        code = _ODBC.SQLDriverConnect(self._dbc, None, raw, _NTS, None, 0, None, 0)
        _check(code, _DBC, self._dbc)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        _ODBC.SQLDisconnect(self._dbc)
        _ODBC.SQLFreeHandle(_DBC, self._dbc)
        _ODBC.SQLFreeHandle(_ENV, self._env)

    def execute(self, sql: str, cursor_type: int = FORWARD_ONLY) -> Statement:
        """Run a statement; return its open result."""
        handle = _allocate(_STMT, self._dbc)
        _check(_ODBC.SQLSetStmtAttr(handle, _CURSOR_TYPE, ctypes.c_void_p(cursor_type), 0), _STMT, handle)
        _check(_ODBC.SQLExecDirect(handle, sql.encode(), _NTS), _STMT, handle)
        return Statement(handle)


class Statement:
    """An open result."""

    def __init__(self, handle: ctypes.c_void_p) -> None:
        self._handle = handle

    def fetch(self, orientation: int = NEXT, offset: int = 0) -> str | None:
        """Move to a row; return its first column as text, or None if there is no such row."""
        code = _ODBC.SQLFetchScroll(self._handle, orientation, ctypes.c_long(offset))
        if code == _NO_DATA:
            return None
        _check(code, _STMT, self._handle)
        return self.text(1)

    def text(self, column: int) -> str | None:
        """A column of the current row as text."""
        buffer = ctypes.create_string_buffer(4096)
        length = ctypes.c_long()
        code = _ODBC.SQLGetData(self._handle, column, _WCHAR, buffer, ctypes.c_long(4096), ctypes.byref(length))
        _check(code, _STMT, self._handle)
        return None if length.value == _NULL_DATA else buffer.raw[: length.value].decode("utf-16-le")

    def column_count(self) -> int:
        """The number of columns that the application sees."""
        count = ctypes.c_short()
        _check(_ODBC.SQLNumResultCols(self._handle, ctypes.byref(count)), _STMT, self._handle)
        return count.value

    def close(self) -> None:
        """Close the cursor and the statement."""
        _ODBC.SQLFreeHandle(_STMT, self._handle)


def _allocate(kind: int, parent: ctypes.c_void_p | None) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    assert _ODBC.SQLAllocHandle(kind, parent, ctypes.byref(handle)) in (0, 1)
    return handle


def _check(code: int, kind: int, handle: ctypes.c_void_p) -> None:
    if code in (0, 1):
        return
    state, text = ctypes.create_string_buffer(6), ctypes.create_string_buffer(1024)
    native, length = ctypes.c_int(), ctypes.c_short()
    _ODBC.SQLGetDiagRec(kind, handle, 1, state, ctypes.byref(native), text, 1024, ctypes.byref(length))
    raise OdbcError(f"{state.value.decode()} {text.value.decode()}")
