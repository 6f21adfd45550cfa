"""The key of a table's rows as the bound of a chunk: how to select it, store it and send it back unchanged. Pure.

The server alone compares keys, since only it knows the order of collations, uniqueidentifier and sql_variant. So a
value must come back as exactly the value that was read: neither pyodbc's seven-digit times (columns.py) nor a text in
another code page would. Sources: Microsoft "CAST and CONVERT (Transact-SQL)", Date and time styles (121), money styles
(2), Binary styles; of decimal and binary it says that the conversion is not the same in all versions, so decimal
travels as text. float and real travel as 8-byte floats (JSON keeps them: the shortest text that reads back equal).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dstream_mssql_cdc.state import KeyValue


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of a source table. `length` is in bytes, -1 for (max) types; `collation` is empty for other types than
    text. `is_masked`: the login would read masked values."""

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    collation: str = ""
    is_nullable: bool = False
    is_masked: bool = False


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the unique index in whose order a table is read."""

    column: SourceColumn
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class _Form:
    """`select` takes the quoted column name; `bind` is the expression for the value, with one `?`."""

    select: Callable[[str], str]
    bind: str
    is_binary: bool = False


def is_resumable(key: Sequence[KeyColumn]) -> bool:
    """Whether the key of a row can be stored and sent back."""
    return bool(key) and all(_form(each.column) is not None for each in key)


def selected(column: SourceColumn, quoted: str) -> str:
    """The expression that selects the column as part of a bound."""
    return _needed(column).select(quoted)


def bound(column: SourceColumn) -> str:
    """The expression that the column is compared with, with one `?`."""
    return _needed(column).bind


def stored(key: Sequence[KeyColumn], values: Sequence[Any]) -> tuple[KeyValue, ...]:
    """The bound as kept in the checkpoint: binary values as hex."""
    return tuple(value.hex() if isinstance(value, (bytes, bytearray)) else value for value in values[: len(key)])


def sent(column: SourceColumn, value: KeyValue) -> object:
    """The parameter for a value of a stored bound."""
    if _needed(column).is_binary:
        return bytes.fromhex(str(value))
    return float(value or 0) if column.type in ("float", "real") else value


def _needed(column: SourceColumn) -> _Form:
    form = _form(column)
    assert form is not None
    return form


def _form(column: SourceColumn) -> _Form | None:
    """None for types that cannot be sent back, such as sql_variant."""
    kind, length, scale = column.type, column.length, column.scale
    if kind in ("tinyint", "smallint", "int", "bigint"):
        return _Form(_plain, f"CONVERT({kind}, ?)")
    if kind == "bit":
        return _Form(lambda name: f"CONVERT(tinyint, {name})", "CONVERT(bit, ?)")
    if kind in ("decimal", "numeric"):
        return _Form(_text(41), f"CONVERT({kind}({column.precision}, {scale}), ?)")
    if kind in ("money", "smallmoney"):
        return _Form(lambda name: f"CONVERT(varchar(41), {name}, 2)", f"CONVERT({kind}, ?)")
    if kind in ("float", "real", "uniqueidentifier"):
        return _Form(_plain, f"CONVERT({kind}, ?)")
    if kind in _TIMES:
        type_ = f"{kind}({scale})" if kind in ("time", "datetime2", "datetimeoffset") else kind
        return _Form(_text(_TIMES[kind], 121), f"CONVERT({type_}, ?, 121)")
    if kind in ("char", "varchar"):
        # Through Unicode: a varchar parameter would have the code page of the database, not the column's. nvarchar has
        # at most 4000 (error 131), and a key at most 1700 bytes ("CREATE INDEX"), whatever the column's length.
        return _Form(
            lambda name: f"CONVERT(nvarchar({min(length, 4000)}), {name})",
            f"CONVERT(varchar({length}), ? COLLATE {column.collation})",
        )
    if kind in ("nchar", "nvarchar"):
        # As bytes: nvarchar can hold half of a surrogate pair, which no driver sends as text.
        return _Form(_binary(length), f"CONVERT(nvarchar({length // 2}), {_bytes(length)})", is_binary=True)
    if kind in ("binary", "varbinary"):
        return _Form(_plain, f"CONVERT({kind}({length}), ?)", is_binary=True)
    if kind == "timestamp":
        return _Form(lambda name: f"CONVERT(binary(8), {name})", "CONVERT(binary(8), ?)", is_binary=True)
    if kind == "hierarchyid":
        return _Form(_binary(892), f"CONVERT(hierarchyid, {_bytes(892)})", is_binary=True)
    return None


_TIMES = {"date": 10, "time": 16, "smalldatetime": 19, "datetime": 23, "datetime2": 27, "datetimeoffset": 34}
"""The lengths of the types in style 121."""


def _plain(name: str) -> str:
    return name


def _text(length: int, style: int | None = None) -> Callable[[str], str]:
    suffix = "" if style is None else f", {style}"
    return lambda name: f"CONVERT(varchar({length}), {name}{suffix})"


def _binary(length: int) -> Callable[[str], str]:
    return lambda name: f"CONVERT(varbinary({length}), {name})"


def _bytes(length: int) -> str:
    return f"CONVERT(varbinary({length}), ?)"
