"""Prepared statements: the handles of sp_prepare, and the names of the parameters they declare."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dstream_sandbox.sqlserver.session import Param, SqlError

_FIRST_WORD = re.compile(r"\s*(@[^\s,()]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its parameter declarations, such as `@P1 int, @P2 nvarchar(4000)`."""

    sql: str
    declarations: str
    names: tuple[str, ...]

    def bind(self, params: Sequence[Param]) -> list[Param]:
        """Name each value as the statement declares it. Raises SqlError 8144 for too many values."""
        if len(params) > len(self.names):
            raise SqlError(8144, "Procedure or function has too many arguments specified.")
        return [
            param if param.name else replace(param, name=name) for param, name in zip(params, self.names, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """The name of a procedure that has a handle (sp_prepexecrpc)."""

    procedure: str


class PreparedStatements:
    """One connection's handles. They are discarded when the connection closes or is reset."""

    def __init__(self) -> None:
        self._statements: dict[int, Statement | PreparedCall] = {}
        self._last_handle = 0

    def prepare(self, sql: str, declarations: str) -> int:
        """Return a new handle for a statement."""
        return self._keep(statement(sql, declarations))

    def prepare_call(self, procedure: str) -> int:
        """Return a new handle for a procedure."""
        return self._keep(PreparedCall(procedure))

    def get(self, handle: int) -> Statement | PreparedCall:
        """Return what a handle refers to. Raises SqlError 8179."""
        if handle not in self._statements:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.")
        return self._statements[handle]

    def statement(self, handle: int) -> Statement:
        """Return a handle's statement. Raises SqlError 8179, also if the handle is a procedure's."""
        found = self.get(handle)
        if isinstance(found, PreparedCall):
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.")
        return found

    def unprepare(self, handle: int) -> None:
        """Discard a handle. Raises SqlError 8179."""
        self.get(handle)
        del self._statements[handle]

    def clear(self) -> None:
        """Discard all handles, because the connection was reset."""
        self._statements.clear()

    def _keep(self, prepared: Statement | PreparedCall) -> int:
        self._last_handle += 1
        self._statements[self._last_handle] = prepared
        return self._last_handle


def statement(sql: str, declarations: str) -> Statement:
    """Return a statement without a handle."""
    return Statement(sql, declarations, _declared_names(declarations))


def _declared_names(declarations: str) -> tuple[str, ...]:
    names = []
    for part in _split_at_commas(declarations):
        match = _FIRST_WORD.match(part)
        if match:
            names.append(match.group(1))
    return tuple(names)


def _split_at_commas(text: str) -> list[str]:
    """Split at commas outside parentheses: decimal(10, 2) is one type."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and not depth:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
