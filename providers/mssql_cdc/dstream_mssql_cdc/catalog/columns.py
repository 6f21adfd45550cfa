"""The JSON form of each SQL Server type: how to select a captured column, and how to convert what pyodbc returns.

There is one lossless form per type, a contract with consumers (docs/reference/providers/mssql_cdc.md). The server
converts a value to text if the driver cannot return it exactly: pyodbc's datetime and time have six digits but
datetime2(7) has seven; pyodbc has no datetimeoffset (pyodbc#134), sql_variant or CLR types (pyodbc#404). Styles:
Microsoft "CAST and CONVERT (Transact-SQL)", Date and time styles (121), money styles (2), binary styles (2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import methodcaller
from typing import Any, Literal

import msgspec

from dstream.sdk.errors import ConfigError

Convert = Callable[[Sequence[Any]], Sequence[Any]]
"""Converts a whole column of a page; None stays None."""

Hiding = Literal["hash", "redact"]
"""How an event hides a column's values."""


@dataclass(frozen=True, slots=True)
class Column:
    """A captured column. `ordinal` is its bit in the update mask, from 1; `length` is -1 for (max) types; `is_masked`:
    the login reads only its mask."""

    name: str
    type: str
    ordinal: int
    length: int = 0
    scale: int = 0
    hiding: Hiding | None = None
    precision: int = 0
    is_masked: bool = False
    is_encrypted: bool = False

    @property
    def is_lob(self) -> bool:
        """Whether it is stored outside the row: capture writes NULL if an update does not change it."""
        return self.type in _OLD_LOBS or self.type == "xml" or self.length == -1

    @property
    def is_old_lob(self) -> bool:
        """Whether it is text, ntext or image: NULL in all deletes and before images ("cdc.<capture_instance>_CT",
        Remarks)."""
        return self.type in _OLD_LOBS


@dataclass(frozen=True, slots=True)
class Form:
    """How to read a column. `select` takes the quoted column name; `convert` is None if pyodbc's value needs no
    conversion."""

    select: Callable[[str], str]
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """The conversions chosen in the config."""

    decimal: Literal["string", "number"] = "string"
    binary: Literal["base64", "hex"] = "base64"
    hash_key: bytes = b""


def form_of(column: Column, choices: Choices) -> Form:
    """Return the form of a column. Raises ConfigError `mssql.unsupported_type` for an unknown type."""
    if column.hiding == "redact":
        # Without UNMASK, the server replaces the result of an expression over a masked column.
        return Form(lambda name: f"CASE WHEN {name} IS NOT NULL THEN '{REDACTED}' END", _each(lambda _: REDACTED))
    form = _plain_form(column, choices)
    if column.hiding == "hash":
        return Form(form.select, _hashed(form.convert, choices.hash_key))
    return form


REDACTED = "***"
"""Replaces a value; the server does it, so that the value does not leave the database."""


def _hashed(convert: Convert | None, key: bytes) -> Convert:
    """HMAC-SHA256 of each value's JSON form, in hex; a string is hashed without its quotes and escapes."""

    def hashed(values: Sequence[Any]) -> list[str | None]:
        return [
            None if value is None else hmac.digest(key, _json_text(value), hashlib.sha256).hex()
            for value in (convert(values) if convert else values)
        ]

    return hashed


def _json_text(value: Any) -> bytes:
    encoded = msgspec.json.encode(value)
    return msgspec.json.decode(encoded, type=str).encode() if encoded.startswith(b'"') else encoded


def _plain_form(column: Column, choices: Choices) -> Form:
    kind, scale = column.type, column.scale
    if kind in _AS_IT_IS:
        return Form(_plain)
    if kind in ("decimal", "numeric", "money", "smallmoney"):
        if choices.decimal == "number":
            return Form(_plain, _number)
        return Form(_plain, _digits if scale > _PLAIN_SCALE else None)
    if kind in ("binary", "varbinary", "image"):
        return Form(_OLD_LOBS.get(kind, _plain), _hex if choices.binary == "hex" else None)
    if kind in ("text", "ntext"):
        return Form(_OLD_LOBS[kind])
    if kind in ("timestamp", "rowversion"):
        return Form(_plain, _hex)
    if kind == "real":
        return Form(_plain, _each(_shortest_real))
    if kind == "datetime":
        return Form(_plain, _each_time(milliseconds))
    if kind == "smalldatetime":
        return Form(_plain, _to_digits("T", scale=0))
    if kind == "datetime2":
        return Form(_text(27), _each(_with_t)) if scale == 7 else Form(_plain, _to_digits("T", scale=scale))
    if kind == "time":
        return Form(_text(16)) if scale == 7 else Form(_plain, _to_digits(scale=scale))
    if kind == "datetimeoffset":
        return Form(_text(34), _each(_with_offset))
    if kind == "hierarchyid":
        return Form(lambda name: f"{name}.ToString()")
    if kind in ("geometry", "geography"):
        # STAsText omits the Z and M values.
        return Form(lambda name: f"CONVERT(nvarchar(11), {name}.STSrid) + N';' + {name}.AsTextZM()", _each(_spatial))
    if kind == "sql_variant":
        return Form(_variant_sql, _each(lambda value: _variant(value, choices)))
    raise ConfigError(
        "mssql.unsupported_type",
        f'column "{column.name}" has the unsupported type {kind}',
        hint="Exclude or redact it: columns = { TABLE = { exclude = [...] } }.",
        config_path="columns",
    )


_TEXT_TYPES = ("char", "varchar", "nchar", "nvarchar", "sysname", "xml")
_AS_IT_IS = frozenset(
    ["tinyint", "smallint", "int", "bigint", "bit", "float", "date", "uniqueidentifier", *_TEXT_TYPES]
)
"""pyodbc's value as msgspec writes it: date as 2024-02-29, float as the shortest number that reads back equal."""

_PLAIN_SCALE = 6
"""Up to this many decimals, str(Decimal), which msgspec writes, has no exponent (General Decimal Arithmetic,
to-scientific-string)."""

_OLD_LOBS: dict[str, Callable[[str], str]] = {
    "text": lambda name: f"CONVERT(varchar(max), {name})",
    "ntext": lambda name: f"CONVERT(nvarchar(max), {name})",
    "image": lambda name: f"CONVERT(varbinary(max), {name})",
}


def _plain(name: str) -> str:
    return name


def _text(length: int) -> Callable[[str], str]:
    return lambda name: f"CONVERT(varchar({length}), {name}, 121)"


def _each(form: Callable[[Any], Any]) -> Convert:
    return lambda values: [None if value is None else form(value) for value in values]


def _each_time(form: Callable[[Any], str]) -> Convert:
    """Like `_each`; fast if a value is equal to the one before it, as it often is in the two rows of an update."""

    def each(values: Sequence[Any]) -> list[str | None]:
        texts: list[str | None] = []
        previous, text = None, None
        for value in values:
            if value != previous:
                previous, text = value, None if value is None else form(value)
            texts.append(text)
        return texts

    return each


def _digits(values: Sequence[Decimal | None]) -> list[str | None]:
    return [None if value is None else format(value, "f") for value in values]


def _number(values: Sequence[Decimal | None]) -> list[msgspec.Raw | None]:
    return [None if value is None else msgspec.Raw(format(value, "f").encode()) for value in values]


def _hex(values: Sequence[bytes | None]) -> list[str | None]:
    return [None if value is None else value.hex() for value in values]


def _to_digits(*separator: str, scale: int) -> Convert:
    """ISO text truncated to the type's digits. `separator`: of date and time, if the type has both."""
    unit = {0: "seconds", 3: "milliseconds"}.get(scale, "microseconds")
    iso_text: Callable[[Any], str] = methodcaller("isoformat", *separator, unit)
    return _each_time(iso_text if scale in (0, 3, 6) else lambda value: iso_text(value)[: scale - 6])


def milliseconds(value: datetime) -> str:
    """ISO text of a datetime. It counts 1/300 s, and drivers return its fraction as .997 or as .996666; rounding gives
    .997 for both."""
    if value.microsecond % 1000:
        value = value.replace(microsecond=(value.microsecond + 500) // 1000 * 1000)
    return value.isoformat("T", "milliseconds")


def _with_t(value: str) -> str:
    return f"{value[:10]}T{value[11:]}"


def _with_offset(value: str) -> str:
    """`2024-02-29 23:59:59.1234567 +02:00`"""
    return f"{value[:10]}T{value[11:-7]}{value[-6:]}"


def _shortest_real(value: float) -> float:
    """The shortest decimal number that reads back as the same 4-byte float; 9 digits always do (IEEE 754)."""
    packed = struct.pack("<f", value)
    for digits in (6, 7, 8):
        shorter = float(f"{value:.{digits}g}")
        if struct.pack("<f", shorter) == packed:
            return shorter
    return float(f"{value:.9g}")


def _spatial(value: str) -> dict[str, object]:
    srid, _, wkt = value.partition(";")
    return {"wkt": wkt, "srid": int(srid)}


def _variant_sql(name: str) -> str:
    """`base type|precision|scale|maximum length|value`, with the value in a lossless style.

    A float is the hex digits of its 8 bytes: style 3, its exact text, needs SQL Server 2016.
    """
    base = f"CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({name}, 'BaseType'))"
    facts = " + N'|' + ".join(
        [base]
        + [
            f"CONVERT(nvarchar(11), CONVERT(int, SQL_VARIANT_PROPERTY({name}, '{fact}')))"
            for fact in ("Precision", "Scale", "MaxLength")
        ]
    )
    return (
        f"{facts} + N'|' + CASE"
        f" WHEN {base} IN (N'float', N'real')"
        f" THEN CONVERT(nvarchar(16), CONVERT(binary(8), CONVERT(float(53), {name})), 2)"
        f" WHEN {base} IN (N'money', N'smallmoney') THEN CONVERT(nvarchar(64), CONVERT(money, {name}), 2)"
        f" WHEN {base} IN (N'binary', N'varbinary')"
        f" THEN CONVERT(nvarchar(max), CONVERT(varbinary(8000), {name}), 2)"
        f" WHEN {base} IN (N'date', N'time', N'datetime', N'smalldatetime', N'datetime2', N'datetimeoffset')"
        f" THEN CONVERT(nvarchar(64), {name}, 121)"
        f" WHEN {base} IN (N'char', N'varchar') THEN CONVERT(nvarchar(max), CONVERT(varchar(8000), {name}))"
        f" ELSE CONVERT(nvarchar(4000), {name}) END"
    )


def _variant(text: str, choices: Choices) -> dict[str, object]:
    base, precision, scale, length, value = text.split("|", 4)
    return {"type": _variant_type(base, precision, scale, length, value), "value": _variant_value(base, value, choices)}


def _variant_type(base: str, precision: str, scale: str, length: str, value: str) -> str:
    if base in ("decimal", "numeric"):
        return f"{base}({precision},{scale})"
    if base in ("time", "datetime2", "datetimeoffset"):
        # SQL_VARIANT_PROPERTY documents scale 0 for these; the text in style 121 has as many digits as the type.
        return f"{base}({len(value.partition('.')[2].partition(' ')[0])})"
    if base in ("char", "varchar", "binary", "varbinary"):
        return f"{base}({length})"
    if base in ("nchar", "nvarchar"):
        return f"{base}({int(length) // 2})"
    return base


def _variant_value(base: str, value: str, choices: Choices) -> object:
    """Convert the text to the JSON form of a column of the base type."""
    if base in ("tinyint", "smallint", "int", "bigint"):
        return int(value)
    if base == "bit":
        return value == "1"
    if base in ("float", "real"):
        number: float = struct.unpack(">d", bytes.fromhex(value))[0]
        return number if base == "float" else _shortest_real(number)
    if base in ("decimal", "numeric", "money", "smallmoney"):
        return msgspec.Raw(value.encode()) if choices.decimal == "number" else value
    if base in ("binary", "varbinary"):
        return value.lower() if choices.binary == "hex" else base64.b64encode(bytes.fromhex(value)).decode()
    if base in ("datetime", "datetime2"):
        return _with_t(value)
    if base == "smalldatetime":
        return _with_t(value)[:19]
    if base == "datetimeoffset":
        return _with_offset(value)
    return value
