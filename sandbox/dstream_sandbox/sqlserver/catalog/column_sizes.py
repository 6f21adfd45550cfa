"""A column's size as ODBC defines it. Source: Microsoft Learn, "sp_columns" and "Column Size (ODBC)"."""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.catalog.objects import CatalogColumn
from dstream_sandbox.sqlserver.catalog.odbc_types import ODBC_TYPES_BY_NAME, OdbcType
from dstream_sandbox.sqlserver.values import MAX

CLR = -151
_CLR_NAMES = frozenset({"hierarchyid", "geometry", "geography"})
_WIDE = frozenset({"nchar", "nvarchar", "ntext", "sysname"})
_NARROW = frozenset({"char", "varchar", "binary", "varbinary"})
_OLD_LOB_BYTES = {"text": 2147483647, "ntext": 2147483646, "image": 2147483647}
_STRUCT_BYTES = {
    "bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "real": 4, "float": 8, "money": 21, "smallmoney": 12,
    "uniqueidentifier": 16, "timestamp": 8, "sql_variant": 8000, "date": 6, "time": 12, "datetime": 16,
    "smalldatetime": 16, "datetime2": 16, "datetimeoffset": 20,
}  # fmt: skip
_WITHOUT_SCALE = frozenset({"bit", "float", "real", "date", "sql_variant"})

# systypes.type: for NOT NULL columns and for nullable ones.
_LEGACY_TYPES = {
    "tinyint": (48, 38), "smallint": (52, 38), "int": (56, 38), "bigint": (63, 108), "bit": (50, 50),
    "decimal": (55, 106), "numeric": (63, 108), "money": (60, 110), "smallmoney": (122, 110), "float": (62, 109),
    "real": (59, 109), "datetime": (61, 111), "smalldatetime": (58, 111), "char": (47, 39), "varchar": (39, 39),
    "nchar": (47, 39), "nvarchar": (39, 39), "sysname": (39, 39), "text": (35, 35), "ntext": (35, 35),
    "image": (34, 34), "binary": (45, 37), "varbinary": (37, 37), "timestamp": (45, 37),
    "uniqueidentifier": (37, 37), "sql_variant": (39, 39),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnSize:
    """What SQLColumns reports about a column's type."""

    odbc: OdbcType
    precision: int
    length: int
    scale: int | None
    radix: int | None
    octets: int | None
    legacy_type: int


def column_size(column: CatalogColumn) -> ColumnSize:
    """Return the size of a column. `(max)` types have size 0: SQL_SS_LENGTH_UNLIMITED."""
    name = "timestamp" if column.type_name == "rowversion" else column.type_name
    odbc = ODBC_TYPES_BY_NAME.get(name) or OdbcType(name, CLR, max(column.max_length, 0))
    legacy = _LEGACY_TYPES.get(name, (0, 0))[1 if column.is_nullable else 0]
    if name in _OLD_LOB_BYTES:
        return _text_size(odbc, _OLD_LOB_BYTES[name], legacy, is_wide=name in _WIDE)
    if name in _WIDE or name in _NARROW or name in _CLR_NAMES or name == "xml":
        return _text_size(odbc, 0 if column.max_length == MAX else column.max_length, legacy, is_wide=name in _WIDE)
    if name in ("decimal", "numeric"):
        return ColumnSize(odbc, column.precision, column.precision + 2, column.scale, 10, None, legacy)
    octets = 8 if name == "timestamp" else None
    scale = None if name in _WITHOUT_SCALE or name in ("uniqueidentifier", "timestamp") else column.scale
    precision = _moment_precision(name, column.scale) or odbc.precision
    return ColumnSize(odbc, precision, _STRUCT_BYTES[name], scale, odbc.radix, octets, legacy)


def _text_size(odbc: OdbcType, octets: int, legacy_type: int, *, is_wide: bool) -> ColumnSize:
    return ColumnSize(odbc, octets // 2 if is_wide else octets, octets, None, None, octets, legacy_type)


def _moment_precision(name: str, scale: int) -> int | None:
    digits = {"time": 8, "datetime2": 19, "datetimeoffset": 26}.get(name)
    return None if digits is None else digits + (scale + 1 if scale else 0)
