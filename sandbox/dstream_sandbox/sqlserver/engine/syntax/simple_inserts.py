"""INSERT ... VALUES with constants only, treated as one statement with parameters, so that ten thousand of them are
compiled once (SQL Server calls this simple parameterization)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import Stored
from dstream_sandbox.sqlserver.values import SqlType

_CONSTANT = r"[Nn]?'(?:[^']|'')*'|-?\d{1,17}(?:\.\d{1,17})?(?![\w.])|NULL(?!\w)"
_HEAD = r"INSERT\s+(?:INTO\s+)?[^('@;-]+?\s*(?:\([^()';-]*\)\s*)?VALUES\s*"
_INSERT = re.compile(
    rf"\s*({_HEAD})\(\s*((?:{_CONSTANT})(?:\s*,\s*(?:{_CONSTANT}))*)\s*\)\s*;?\s*",
    re.IGNORECASE,
)
_CONSTANTS = re.compile(_CONSTANT, re.IGNORECASE)
_INT_MAX = 2**31 - 1
_TEXT, _WIDE_TEXT = names.of_value("varchar", 8000), names.of_value("nvarchar", 4000)


@dataclass(frozen=True, slots=True)
class SimpleInsert:
    sql: str
    values: tuple[tuple[str, SqlType, Stored], ...]
    """Variable, type, stored value."""


def simplified(sql: str) -> SimpleInsert | None:
    """Return the parameterized form; None for any other text. Types are as wide as the constants allow. Assigning to a
    column hides this, except to a sql_variant column, which the caller checks for."""
    if len(sql) > 4000:
        return None
    match = _INSERT.fullmatch(sql)
    if match is None:
        return None
    places: list[str] = []
    values: list[tuple[str, SqlType, Stored]] = []
    for constant in _CONSTANTS.findall(match[2]):
        if constant[0] in "nN" and constant[1:2] != "'":
            places.append("NULL")
            continue
        typed = _typed(constant)
        if typed is None:
            return None
        name = f"@__{len(values)}"
        places.append(name)
        values.append((name, *typed))
    return SimpleInsert(f"{match[1]}({','.join(places)})", tuple(values))


def _typed(constant: str) -> tuple[SqlType, Stored] | None:
    if constant.endswith("'"):
        wide = constant[0] in "nN"
        text = constant[2 if wide else 1 : -1].replace("''", "'")
        return (_WIDE_TEXT if wide else _TEXT), text
    whole, point, fraction = constant.partition(".")
    if not point:
        value = int(whole)
        return (names.INT, value) if abs(value) <= _INT_MAX else None
    if len(whole.lstrip("-")) + len(fraction) > 18:
        return None
    return SqlType("numeric", None, 18, len(fraction)), int(whole + fraction)
