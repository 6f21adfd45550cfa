"""What sys.types reports about each type, and what the describe and catalog procedures derive from it.

Sources: Microsoft Learn, "sys.types", "sp_describe_first_result_set", [MS-TDS] 2.2.5.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.tds import type_tokens as tt
from dstream_sandbox.sqlserver.tds.encoding import time_bytes
from dstream_sandbox.sqlserver.tds.numbers import magnitude_bytes
from dstream_sandbox.sqlserver.values import MAX, SqlType


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """The facts about one declared type."""

    system_type_id: int
    user_type_id: int
    declaration: str
    max_length: int
    precision: int
    scale: int
    is_character: bool
    tds_type: int
    tds_length: int


# name: system_type_id, user_type_id, max_length, precision, scale, TDS type
_FIXED: dict[str, tuple[int, int, int, int, int, int]] = {
    "tinyint": (48, 48, 1, 3, 0, tt.INT_N),
    "smallint": (52, 52, 2, 5, 0, tt.INT_N),
    "int": (56, 56, 4, 10, 0, tt.INT_N),
    "bigint": (127, 127, 8, 19, 0, tt.INT_N),
    "bit": (104, 104, 1, 1, 0, tt.BIT_N),
    "real": (59, 59, 4, 24, 0, tt.FLOAT_N),
    "float": (62, 62, 8, 53, 0, tt.FLOAT_N),
    "money": (60, 60, 8, 19, 4, tt.MONEY_N),
    "smallmoney": (122, 122, 4, 10, 4, tt.MONEY_N),
    "date": (40, 40, 3, 10, 0, tt.DATE_N),
    "datetime": (61, 61, 8, 23, 3, tt.DATETIME_N),
    "smalldatetime": (58, 58, 4, 16, 0, tt.DATETIME_N),
    "uniqueidentifier": (36, 36, 16, 0, 0, tt.GUID),
    "rowversion": (189, 189, 8, 0, 0, tt.BIG_BINARY),
    "timestamp": (189, 189, 8, 0, 0, tt.BIG_BINARY),
    "text": (35, 35, 16, 0, 0, tt.TEXT),
    "ntext": (99, 99, 16, 0, 0, tt.NTEXT),
    "image": (34, 34, 16, 0, 0, tt.IMAGE),
    "xml": (241, 241, -1, 0, 0, tt.XML),
    "sql_variant": (98, 98, 8016, 0, 0, tt.VARIANT),
    "hierarchyid": (240, 128, 892, 0, 0, tt.UDT),
    "geometry": (240, 129, -1, 0, 0, tt.UDT),
    "geography": (240, 130, -1, 0, 0, tt.UDT),
    "sysname": (231, 256, 256, 0, 0, tt.NVARCHAR),
}
_SIZED: dict[str, tuple[int, int, int]] = {
    "char": (175, tt.BIG_CHAR, 1),
    "varchar": (167, tt.BIG_VARCHAR, 1),
    "nchar": (239, tt.NCHAR, 2),
    "nvarchar": (231, tt.NVARCHAR, 2),
    "binary": (173, tt.BIG_BINARY, 1),
    "varbinary": (165, tt.BIG_VARBINARY, 1),
}
# name: system_type_id, TDS type, bytes in addition to the time of day, digits before the fraction
_MOMENTS: dict[str, tuple[int, int, int, int]] = {
    "time": (41, tt.TIME_N, 0, 8),
    "datetime2": (42, tt.DATETIME2_N, 3, 19),
    "datetimeoffset": (43, tt.DATETIMEOFFSET_N, 5, 26),
}
_CHARACTER = frozenset({"char", "varchar", "nchar", "nvarchar", "text", "ntext", "sysname"})
_PLP_TDS_LENGTH = 0xFFFF


def type_facts(sql_type: SqlType) -> TypeFacts:
    """Return the facts about a declared type."""
    name = sql_type.name.lower()
    if name in _SIZED:
        return _sized(name, sql_type)
    if name in _MOMENTS:
        return _moment(name, sql_type)
    if name in ("decimal", "numeric"):
        return _decimal(name, sql_type)
    system_id, user_id, max_length, precision, scale, tds = _FIXED[name]
    if name == "float" and (sql_type.precision or 53) <= 24:
        system_id, user_id, max_length, precision, scale, tds = _FIXED["real"]
    declaration = "timestamp" if name == "rowversion" else name
    tds_length = _PLP_TDS_LENGTH if max_length == MAX else max_length
    return TypeFacts(system_id, user_id, declaration, max_length, precision, scale, name in _CHARACTER, tds, tds_length)


def _sized(name: str, sql_type: SqlType) -> TypeFacts:
    type_id, tds, width = _SIZED[name]
    if sql_type.length == MAX:
        return TypeFacts(type_id, type_id, f"{name}(max)", MAX, 0, 0, name in _CHARACTER, tds, _PLP_TDS_LENGTH)
    length = 8000 // width if sql_type.length is None else sql_type.length
    return TypeFacts(
        type_id, type_id, f"{name}({length})", length * width, 0, 0, name in _CHARACTER, tds, length * width
    )


def _moment(name: str, sql_type: SqlType) -> TypeFacts:
    type_id, tds, extra, digits = _MOMENTS[name]
    scale = 7 if sql_type.scale is None else sql_type.scale
    size = time_bytes(scale) + extra
    precision = digits + (scale + 1 if scale else 0)
    return TypeFacts(type_id, type_id, f"{name}({scale})", size, precision, scale, False, tds, size)


def _decimal(name: str, sql_type: SqlType) -> TypeFacts:
    type_id, tds = (108, tt.NUMERIC_N) if name == "numeric" else (106, tt.DECIMAL_N)
    precision, scale = sql_type.precision or 18, sql_type.scale or 0
    size = magnitude_bytes(precision) + 1
    return TypeFacts(type_id, type_id, f"{name}({precision},{scale})", size, precision, scale, False, tds, 17)
