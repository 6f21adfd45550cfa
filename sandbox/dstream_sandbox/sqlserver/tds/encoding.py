"""Values to bytes: each type's declaration (TYPE_INFO) and its cells, [MS-TDS] 2.2.5.4 to 2.2.5.6.

Result columns are always declared in their nullable form (INTN and so on), which every client can read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from struct import Struct
from typing import Any

from dstream_sandbox.sqlserver.half_pairs import units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.tds import type_tokens as tt
from dstream_sandbox.sqlserver.tds.collations import collation
from dstream_sandbox.sqlserver.tds.numbers import MONEY_SCALE, magnitude_bytes, unscaled
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, DateTimeOffset, SqlType, Variant

Encode = Callable[[Any], bytes]
"""From a non-NULL value to its cell, including the length. For the values of each type, see `..values`."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How one type is encoded."""

    type_info: bytes
    encode: Encode
    null: bytes
    user_type: int = 0
    has_table_name: bool = False


DAYS_TO_1900 = 693595
_U16 = Struct("<H")
_U32 = Struct("<I")
_U64 = Struct("<Q")
_PLP_HEAD = Struct("<QI")
_PLP_END = b"\0\0\0\0"
_TEXT_POINTER = b"\x10" + b"dstream-textptr\0" + b"dstreamt"
_USER_TYPE_TIMESTAMP = 80
_DEFAULT_CHARACTERS = 4000
_DEFAULT_BYTES = 8000

_INTEGERS = {"tinyint": "B", "smallint": "h", "int": "i", "bigint": "q"}
_CLR_TYPES = {
    "hierarchyid": ("SqlHierarchyId", 892),
    "geometry": ("SqlGeometry", -1),
    "geography": ("SqlGeography", -1),
}
_CLR_ASSEMBLY = (
    "Microsoft.SqlServer.Types.{}, Microsoft.SqlServer.Types, Version=11.0.0.0, Culture=neutral, "
    "PublicKeyToken=89845dcd8080cc91"
)


def encoding(sql_type: SqlType, database: str = "") -> Encoding:
    """Return a type's encoding. `database` contains the CLR type. Raises SqlError for an unsupported type."""
    name = sql_type.name.lower()
    if name in _INTEGERS:
        packer = Struct("<B" + _INTEGERS[name])
        return _byte_length(bytes([tt.INT_N, packer.size - 1]), partial(packer.pack, packer.size - 1))
    if name in _CLR_TYPES:
        return _clr(name, database)
    if name not in _MAKERS:
        raise SqlError(40000, f"The sandbox does not support the type {sql_type.name} on the wire.")
    return _MAKERS[name](sql_type)


def _byte_length(type_info: bytes, encode: Encode) -> Encoding:
    return Encoding(type_info, encode, b"\0")


def _bit(_: SqlType) -> Encoding:
    return _byte_length(bytes([tt.BIT_N, 1]), lambda value: b"\x01\x01" if value else b"\x01\x00")


def _float(sql_type: SqlType) -> Encoding:
    is_real = sql_type.name.lower() == "real" or (sql_type.precision or 53) <= 24
    packer = Struct("<Bf") if is_real else Struct("<Bd")
    return _byte_length(bytes([tt.FLOAT_N, packer.size - 1]), partial(packer.pack, packer.size - 1))


def _decimal(sql_type: SqlType) -> Encoding:
    precision = sql_type.precision or 18
    scale = sql_type.scale or 0
    size = magnitude_bytes(precision)
    positive, negative = bytes([size + 1, 1]), bytes([size + 1, 0])
    token = tt.NUMERIC_N if sql_type.name.lower() == "numeric" else tt.DECIMAL_N

    def encode(value: Decimal) -> bytes:
        number = unscaled(value, scale)
        if number < 0:
            return negative + (-number).to_bytes(size, "little")
        return positive + number.to_bytes(size, "little")

    return _byte_length(bytes([token, size + 1, precision, scale]), encode)


def _money(_: SqlType) -> Encoding:
    def encode(value: Decimal) -> bytes:
        number = unscaled(value, MONEY_SCALE)
        return b"\x08" + (number >> 32).to_bytes(4, "little", signed=True) + (number & 0xFFFFFFFF).to_bytes(4, "little")

    return _byte_length(bytes([tt.MONEY_N, 8]), encode)


def _smallmoney(_: SqlType) -> Encoding:
    return _byte_length(
        bytes([tt.MONEY_N, 4]),
        lambda value: b"\x04" + unscaled(value, MONEY_SCALE).to_bytes(4, "little", signed=True),
    )


def _datetime(_: SqlType) -> Encoding:
    pack: Callable[[int, int, int], bytes] = Struct("<BiI").pack

    def encode(ticks: int) -> bytes:
        days, rest = divmod(ticks, TICKS_PER_DAY)
        return pack(8, days - DAYS_TO_1900, (rest * 3 + 50_000) // 100_000)

    return _byte_length(bytes([tt.DATETIME_N, 8]), encode)


def _smalldatetime(_: SqlType) -> Encoding:
    pack: Callable[[int, int, int], bytes] = Struct("<BHH").pack
    ticks_per_minute = TICKS_PER_DAY // 1440

    def encode(ticks: int) -> bytes:
        days, rest = divmod(ticks, TICKS_PER_DAY)
        return pack(4, days - DAYS_TO_1900, rest // ticks_per_minute)

    return _byte_length(bytes([tt.DATETIME_N, 4]), encode)


def _date(_: SqlType) -> Encoding:
    return _byte_length(bytes([tt.DATE_N]), lambda days: b"\x03" + days.to_bytes(3, "little"))


def time_bytes(scale: int) -> int:
    """Return the number of bytes of a time of day at that scale."""
    if scale <= 2:
        return 3
    return 4 if scale <= 4 else 5


def ticks_per_unit(scale: int) -> int:
    """Return how many 100 ns ticks the last digit represents at that scale."""
    return int(10 ** (7 - scale))


def _scale(sql_type: SqlType) -> int:
    return 7 if sql_type.scale is None else sql_type.scale


def _time(sql_type: SqlType) -> Encoding:
    scale = _scale(sql_type)
    size, unit = time_bytes(scale), ticks_per_unit(scale)
    prefix = bytes([size])
    return _byte_length(bytes([tt.TIME_N, scale]), lambda ticks: prefix + (ticks // unit).to_bytes(size, "little"))


def _datetime2(sql_type: SqlType) -> Encoding:
    scale = _scale(sql_type)
    size, unit = time_bytes(scale), ticks_per_unit(scale)
    prefix, date_shift = bytes([size + 3]), 8 * size

    def encode(ticks: int) -> bytes:
        days, rest = divmod(ticks, TICKS_PER_DAY)
        return prefix + (rest // unit | days << date_shift).to_bytes(size + 3, "little")

    return _byte_length(bytes([tt.DATETIME2_N, scale]), encode)


def _datetimeoffset(sql_type: SqlType) -> Encoding:
    scale = _scale(sql_type)
    size, unit = time_bytes(scale), ticks_per_unit(scale)
    prefix, date_shift = bytes([size + 5]), 8 * size

    def encode(value: DateTimeOffset) -> bytes:
        days, rest = divmod(value.utc_ticks, TICKS_PER_DAY)
        moment = (rest // unit | days << date_shift).to_bytes(size + 3, "little")
        return prefix + moment + value.offset_minutes.to_bytes(2, "little", signed=True)

    return _byte_length(bytes([tt.DATETIMEOFFSET_N, scale]), encode)


def _guid(_: SqlType) -> Encoding:
    return _byte_length(bytes([tt.GUID, 16]), lambda value: b"\x10" + value.bytes_le)


def _nchar(sql_type: SqlType) -> Encoding:
    wire = collation(sql_type.collation).wire
    if sql_type.length == MAX:
        return Encoding(b"\xe7\xff\xff" + wire, lambda value: _plp(_utf16(value)), tt.PLP_NULL)
    token = tt.NCHAR if sql_type.name.lower() == "nchar" else tt.NVARCHAR
    declared = 2 * (_DEFAULT_CHARACTERS if sql_type.length is None else sql_type.length)
    pack_length = _U16.pack

    def encode(value: str) -> bytes:
        raw = units_of(value)
        return pack_length(len(raw)) + raw

    return Encoding(bytes([token]) + _U16.pack(max(declared, 2)) + wire, encode, tt.SHORT_NULL)


def _char(sql_type: SqlType) -> Encoding:
    coll = collation(sql_type.collation)
    codec = coll.codec
    if sql_type.length == MAX:
        return Encoding(b"\xa7\xff\xff" + coll.wire, lambda value: _plp(value.encode(codec, "replace")), tt.PLP_NULL)
    token = tt.BIG_CHAR if sql_type.name.lower() == "char" else tt.BIG_VARCHAR
    declared = _DEFAULT_BYTES if sql_type.length is None else sql_type.length
    pack_length = _U16.pack

    def encode(value: str) -> bytes:
        raw = value.encode(codec, "replace")  # like SQL Server, write ? for what the code page lacks
        return pack_length(len(raw)) + raw

    return Encoding(bytes([token]) + _U16.pack(max(declared, 1)) + coll.wire, encode, tt.SHORT_NULL)


def _binary(sql_type: SqlType) -> Encoding:
    if sql_type.length == MAX:
        return Encoding(b"\xa5\xff\xff", _plp, tt.PLP_NULL)
    token = tt.BIG_BINARY if sql_type.name.lower() == "binary" else tt.BIG_VARBINARY
    declared = _DEFAULT_BYTES if sql_type.length is None else sql_type.length
    pack_length = _U16.pack
    return Encoding(
        bytes([token]) + _U16.pack(max(declared, 1)), lambda value: pack_length(len(value)) + value, tt.SHORT_NULL
    )


def _rowversion(_: SqlType) -> Encoding:
    return Encoding(
        bytes([tt.BIG_BINARY]) + _U16.pack(8), lambda value: b"\x08\0" + value, tt.SHORT_NULL, _USER_TYPE_TIMESTAMP
    )


def _xml(_: SqlType) -> Encoding:
    return Encoding(bytes([tt.XML, 0]), lambda value: _plp(_utf16(value)), tt.PLP_NULL)


def _text(sql_type: SqlType) -> Encoding:
    coll = collation(sql_type.collation)
    return _old_lob(tt.TEXT, 0x7FFFFFFF, coll.wire, lambda value: value.encode(coll.codec, "replace"))


def _ntext(sql_type: SqlType) -> Encoding:
    return _old_lob(tt.NTEXT, 0x7FFFFFFE, collation(sql_type.collation).wire, _utf16)


def _image(_: SqlType) -> Encoding:
    return _old_lob(tt.IMAGE, 0x7FFFFFFF, b"", bytes)


def _old_lob(token: int, max_bytes: int, wire: bytes, payload: Encode) -> Encoding:
    def encode(value: Any) -> bytes:
        raw = payload(value)
        return _TEXT_POINTER + _U32.pack(len(raw)) + raw

    return Encoding(bytes([token]) + _U32.pack(max_bytes) + wire, encode, b"\0", has_table_name=True)


def _clr(name: str, database: str) -> Encoding:
    class_name, max_bytes = _CLR_TYPES[name]
    info = (
        bytes([tt.UDT])
        + _U16.pack(max_bytes & 0xFFFF)
        + b_varchar(database)
        + b_varchar("sys")
        + b_varchar(name)
        + us_varchar(_CLR_ASSEMBLY.format(class_name))
    )
    return Encoding(info, _plp, tt.PLP_NULL)


def _variant(_: SqlType) -> Encoding:
    return Encoding(bytes([tt.VARIANT]) + _U32.pack(8009), _variant_cell, b"\0\0\0\0")


def _variant_cell(value: Variant) -> bytes:
    # [MS-TDS] 2.2.5.5.4: length, base type, length of its properties, the properties, the bare value.
    base = encoding(value.type)
    token, info = base.type_info[0], base.type_info
    if value.value is None or token not in _VARIANT_PROPERTIES or base.null == tt.PLP_NULL:
        raise SqlError(206, f"Operand type clash: {value.type.name} is incompatible with sql_variant")
    cell = base.encode(value.value)
    payload = cell[2:] if base.null == tt.SHORT_NULL else cell[1:]
    properties = _VARIANT_PROPERTIES[token](info)
    fixed_token = _FIXED_TOKENS.get((token, len(payload)), token)
    body = bytes([fixed_token, len(properties)]) + properties + payload
    return _U32.pack(len(body)) + body


_FIXED_TOKENS = {
    (tt.INT_N, 1): tt.INT1,
    (tt.INT_N, 2): tt.INT2,
    (tt.INT_N, 4): tt.INT4,
    (tt.INT_N, 8): tt.INT8,
    (tt.BIT_N, 1): tt.BIT,
    (tt.FLOAT_N, 4): tt.FLOAT4,
    (tt.FLOAT_N, 8): tt.FLOAT8,
    (tt.MONEY_N, 4): tt.MONEY4,
    (tt.MONEY_N, 8): tt.MONEY,
    (tt.DATETIME_N, 4): tt.DATETIME4,
    (tt.DATETIME_N, 8): tt.DATETIME,
}


def _no_properties(_: bytes) -> bytes:
    return b""


def _length_properties(info: bytes) -> bytes:
    return info[1:3]


def _collated_properties(info: bytes) -> bytes:
    return info[3:8] + info[1:3]


_VARIANT_PROPERTIES: dict[int, Callable[[bytes], bytes]] = {
    **dict.fromkeys((token for token, _ in _FIXED_TOKENS), _no_properties),
    tt.GUID: _no_properties,
    tt.DATE_N: _no_properties,
    tt.TIME_N: lambda info: info[1:2],
    tt.DATETIME2_N: lambda info: info[1:2],
    tt.DATETIMEOFFSET_N: lambda info: info[1:2],
    tt.DECIMAL_N: lambda info: info[2:4],
    tt.NUMERIC_N: lambda info: info[2:4],
    tt.BIG_VARBINARY: _length_properties,
    tt.BIG_BINARY: _length_properties,
    tt.BIG_VARCHAR: _collated_properties,
    tt.BIG_CHAR: _collated_properties,
    tt.NVARCHAR: _collated_properties,
    tt.NCHAR: _collated_properties,
}


def b_varchar(text: str) -> bytes:
    """Return text with a one-byte length in front."""
    raw = _utf16(text)[:510]
    return bytes([len(raw) // 2]) + raw


def us_varchar(text: str) -> bytes:
    """Return text with a two-byte length in front."""
    raw = _utf16(text)
    return _U16.pack(len(raw) // 2) + raw


def _utf16(text: str) -> bytes:
    return units_of(text)


def _plp(raw: bytes) -> bytes:
    if not raw:
        return _U64.pack(0) + _PLP_END
    return _PLP_HEAD.pack(len(raw), len(raw)) + raw + _PLP_END


_MAKERS: dict[str, Callable[[SqlType], Encoding]] = {
    "bit": _bit,
    "float": _float,
    "real": _float,
    "decimal": _decimal,
    "numeric": _decimal,
    "money": _money,
    "smallmoney": _smallmoney,
    "datetime": _datetime,
    "smalldatetime": _smalldatetime,
    "date": _date,
    "time": _time,
    "datetime2": _datetime2,
    "datetimeoffset": _datetimeoffset,
    "uniqueidentifier": _guid,
    "nvarchar": _nchar,
    "nchar": _nchar,
    "sysname": _nchar,
    "varchar": _char,
    "char": _char,
    "varbinary": _binary,
    "binary": _binary,
    "rowversion": _rowversion,
    "timestamp": _rowversion,
    "xml": _xml,
    "text": _text,
    "ntext": _ntext,
    "image": _image,
    "sql_variant": _variant,
}
