"""Bytes to values: TYPE_INFO and cells as clients send them, [MS-TDS] 2.2.5.4 to 2.2.5.6.

Clients use the same forms in RPC parameters and in bulk-load rows; where the two differ, the caller specifies which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from struct import Struct
from uuid import UUID

from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.tds import type_tokens as tt
from dstream_sandbox.sqlserver.tds.byte_reader import ByteReader, ProtocolError
from dstream_sandbox.sqlserver.tds.collations import codec_of
from dstream_sandbox.sqlserver.tds.encoding import DAYS_TO_1900, ticks_per_unit, time_bytes
from dstream_sandbox.sqlserver.tds.numbers import MONEY_SCALE, scaled
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, DateTimeOffset, SqlType, Value, Variant

Payload = Callable[[bytes], Value]
"""Converts a value's bytes, without length, to the value."""

ReadCell = Callable[[ByteReader], Value]
"""Reads a value from the message, which is at the start of a cell."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """The declared type of a parameter or column, and how to read its cells."""

    type: SqlType
    read: ReadCell
    is_old_lob: bool = False


_FLOAT4, _FLOAT8 = Struct("<f"), Struct("<d")
_DATETIME = Struct("<iI")
_SMALLDATETIME = Struct("<HH")
_TICKS_PER_MINUTE = TICKS_PER_DAY // 1440

_FIXED_SIZES = {
    tt.INT1: 1, tt.BIT: 1, tt.INT2: 2, tt.INT4: 4, tt.DATETIME4: 4, tt.FLOAT4: 4, tt.MONEY: 8, tt.DATETIME: 8,
    tt.FLOAT8: 8, tt.MONEY4: 4, tt.INT8: 8,
}  # fmt: skip
_NULLABLE_OF_FIXED = {
    tt.INT1: tt.INT_N, tt.INT2: tt.INT_N, tt.INT4: tt.INT_N, tt.INT8: tt.INT_N, tt.BIT: tt.BIT_N,
    tt.FLOAT4: tt.FLOAT_N, tt.FLOAT8: tt.FLOAT_N, tt.MONEY: tt.MONEY_N, tt.MONEY4: tt.MONEY_N,
    tt.DATETIME: tt.DATETIME_N, tt.DATETIME4: tt.DATETIME_N,
}  # fmt: skip
_SIZED_NAMES = {
    (tt.INT_N, 1): "tinyint", (tt.INT_N, 2): "smallint", (tt.INT_N, 4): "int", (tt.INT_N, 8): "bigint",
    (tt.BIT_N, 1): "bit", (tt.FLOAT_N, 4): "real", (tt.FLOAT_N, 8): "float", (tt.MONEY_N, 4): "smallmoney",
    (tt.MONEY_N, 8): "money", (tt.DATETIME_N, 4): "smalldatetime", (tt.DATETIME_N, 8): "datetime",
    (tt.GUID, 16): "uniqueidentifier",
}  # fmt: skip
_SCALED_NAMES = {tt.TIME_N: "time", tt.DATETIME2_N: "datetime2", tt.DATETIMEOFFSET_N: "datetimeoffset"}
_SHORT_NAMES = {
    tt.BIG_VARCHAR: "varchar", tt.BIG_CHAR: "char", tt.NVARCHAR: "nvarchar", tt.NCHAR: "nchar",
    tt.BIG_VARBINARY: "varbinary", tt.BIG_BINARY: "binary",
}  # fmt: skip
_OLD_LOB_NAMES = {tt.TEXT: "text", tt.NTEXT: "ntext", tt.IMAGE: "image"}
_COLLATED = frozenset({tt.BIG_VARCHAR, tt.BIG_CHAR, tt.NVARCHAR, tt.NCHAR, tt.TEXT, tt.NTEXT})


def read_type(reader: ByteReader, *, in_rows: bool = False) -> Incoming:
    """Read a TYPE_INFO. `in_rows` is for bulk load, whose columns are declared as in results.

    Raises SqlError for a type that the sandbox does not support; the rest of the message is then unreadable.
    """
    token = reader.u8()
    if token in _FIXED_SIZES:
        return _fixed(token)
    if token in _SHORT_NAMES:
        return _short(token, reader)
    if token in _OLD_LOB_NAMES:
        return _old_lob(token, reader, in_rows=in_rows)
    if token in _SCALED_NAMES:
        scale = reader.u8()
        sql_type = SqlType(_SCALED_NAMES[token], scale=scale)
        return Incoming(sql_type, _byte_length(_moment_payload(token, scale)))
    match token:
        case tt.DECIMAL_N | tt.NUMERIC_N:
            return _decimal(token, reader)
        case tt.DATE_N:
            return Incoming(SqlType("date"), _byte_length(_little_endian))
        case tt.VARIANT:
            reader.u32()
            return Incoming(SqlType("sql_variant"), _read_variant)
        case tt.XML:
            return _xml(reader)
        case tt.UDT:
            return _clr(reader, in_rows=in_rows)
        case tt.NULL:
            return Incoming(SqlType("nvarchar", 1), lambda _: None)
        case tt.TABLE:
            raise SqlError(40000, "The sandbox does not support table-valued parameters.")
    size = reader.u8()
    name = _SIZED_NAMES.get((token, size))
    if name is None:
        raise _unknown_type(token)
    return Incoming(SqlType(name), _byte_length(_sized_payload(token, size)))


def _fixed(token: int) -> Incoming:
    size = _FIXED_SIZES[token]
    nullable = _NULLABLE_OF_FIXED[token]
    payload = _sized_payload(nullable, size)
    return Incoming(SqlType(_SIZED_NAMES[nullable, size]), lambda reader: payload(reader.take(size)))


def _short(token: int, reader: ByteReader) -> Incoming:
    max_bytes = reader.u16()
    codec = _codec(token, reader)
    payload = _text_payload(codec) if codec else bytes
    name = _SHORT_NAMES[token]
    if max_bytes == tt.MAX_LENGTH:
        return Incoming(SqlType(name, MAX), _pieces(payload))
    length = max_bytes // 2 if token in (tt.NVARCHAR, tt.NCHAR) else max_bytes
    return Incoming(SqlType(name, length), _short_length(payload))


def _old_lob(token: int, reader: ByteReader, *, in_rows: bool) -> Incoming:
    reader.u32()
    codec = _codec(token, reader)
    payload = _text_payload(codec) if codec else bytes
    read = _after_text_pointer(payload) if in_rows else _long_length(payload)
    return Incoming(SqlType(_OLD_LOB_NAMES[token]), read, is_old_lob=True)


def _decimal(token: int, reader: ByteReader) -> Incoming:
    reader.u8()
    precision, scale = reader.u8(), reader.u8()
    name = "numeric" if token == tt.NUMERIC_N else "decimal"
    return Incoming(SqlType(name, precision=precision, scale=scale), _byte_length(_decimal_payload(scale)))


def _xml(reader: ByteReader) -> Incoming:
    if reader.u8():
        reader.b_varchar(), reader.b_varchar(), reader.us_varchar()  # database, owner and name of its schema
    return Incoming(SqlType("xml"), _pieces(lambda raw: raw.decode("utf-16-le", "surrogatepass").lstrip("\ufeff")))


def _clr(reader: ByteReader, *, in_rows: bool) -> Incoming:
    # [MS-TDS] 2.2.5.5.2: rows also declare a size and the assembly.
    if in_rows:
        reader.u16()
    reader.b_varchar(), reader.b_varchar()  # database and schema
    name = reader.b_varchar().lower()
    if in_rows:
        reader.us_varchar()
    if name not in ("hierarchyid", "geometry", "geography"):
        raise SqlError(40000, f"The sandbox does not support the CLR type {name}.")
    return Incoming(SqlType(name), _pieces(bytes))


def _codec(token: int, reader: ByteReader) -> str | None:
    if token not in _COLLATED:
        return None
    wire = reader.take(5)
    return "utf-16-le" if token in (tt.NVARCHAR, tt.NCHAR, tt.NTEXT) else codec_of(wire)


def _byte_length(payload: Payload) -> ReadCell:
    def read(reader: ByteReader) -> Value:
        length = reader.u8()
        return payload(reader.take(length)) if length else None

    return read


def _short_length(payload: Payload) -> ReadCell:
    def read(reader: ByteReader) -> Value:
        length = reader.u16()
        return None if length == 0xFFFF else payload(reader.take(length))

    return read


def _long_length(payload: Payload) -> ReadCell:
    def read(reader: ByteReader) -> Value:
        length = reader.i32()
        return None if length < 0 else payload(reader.take(length))

    return read


def _after_text_pointer(payload: Payload) -> ReadCell:
    def read(reader: ByteReader) -> Value:
        pointer_bytes = reader.u8()
        if not pointer_bytes:
            return None
        reader.take(pointer_bytes + 8)  # the pointer and a timestamp
        return payload(reader.take(reader.u32()))

    return read


def _pieces(payload: Payload) -> ReadCell:
    def read(reader: ByteReader) -> Value:
        total = reader.u64()
        if total == 0xFFFFFFFFFFFFFFFF:
            return None
        parts = []
        while piece_bytes := reader.u32():
            parts.append(reader.take(piece_bytes))
        raw = b"".join(parts)
        if total not in (tt.PLP_UNKNOWN_LENGTH, len(raw)):
            raise ProtocolError(f"a value declared as {total} bytes has {len(raw)}")
        return payload(raw)

    return read


def _text_payload(codec: str) -> Payload:
    errors = "surrogatepass" if codec == "utf-16-le" else "replace"
    return lambda raw: raw.decode(codec, errors)


def _little_endian(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _signed_little_endian(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _sized_payload(token: int, size: int) -> Payload:
    match token, size:
        case tt.INT_N, 1:
            return _little_endian
        case tt.INT_N, _:
            return _signed_little_endian
        case tt.BIT_N, _:
            return lambda raw: raw != b"\0"
        case tt.FLOAT_N, 4:
            return lambda raw: float(_FLOAT4.unpack(raw)[0])
        case tt.FLOAT_N, _:
            return lambda raw: float(_FLOAT8.unpack(raw)[0])
        case tt.MONEY_N, 4:
            return lambda raw: scaled(_signed_little_endian(raw), MONEY_SCALE)
        case tt.MONEY_N, _:
            return _money
        case tt.DATETIME_N, 4:
            return _smalldatetime
        case tt.DATETIME_N, _:
            return _datetime
    return lambda raw: UUID(bytes_le=raw)


def _money(raw: bytes) -> Decimal:
    return scaled(_signed_little_endian(raw[:4]) << 32 | _little_endian(raw[4:]), MONEY_SCALE)


def _datetime(raw: bytes) -> int:
    days, three_hundredths = _DATETIME.unpack(raw)
    ticks: int = (days + DAYS_TO_1900) * TICKS_PER_DAY + (three_hundredths * 100_000 + 1) // 3
    return ticks


def _smalldatetime(raw: bytes) -> int:
    days, minutes = _SMALLDATETIME.unpack(raw)
    ticks: int = (days + DAYS_TO_1900) * TICKS_PER_DAY + minutes * _TICKS_PER_MINUTE
    return ticks


def _decimal_payload(scale: int) -> Payload:
    def decode(raw: bytes) -> Decimal:
        number = _little_endian(raw[1:])
        return scaled(number if raw[0] else -number, scale)

    return decode


def _moment_payload(token: int, scale: int) -> Payload:
    size, unit = time_bytes(scale), ticks_per_unit(scale)

    def time(raw: bytes) -> int:
        return _little_endian(raw[:size]) * unit

    def datetime2(raw: bytes) -> int:
        return _little_endian(raw[size : size + 3]) * TICKS_PER_DAY + time(raw)

    def datetimeoffset(raw: bytes) -> DateTimeOffset:
        return DateTimeOffset(datetime2(raw), _signed_little_endian(raw[size + 3 :]))

    if token == tt.TIME_N:
        return time
    return datetime2 if token == tt.DATETIME2_N else datetimeoffset


def _read_variant(reader: ByteReader) -> Value:
    total = reader.u32()
    if not total:
        return None
    token, property_bytes = reader.u8(), reader.u8()
    properties = reader.take(property_bytes)
    raw = reader.take(total - 2 - property_bytes)
    sql_type, payload = _variant_type(token, properties, len(raw))
    return Variant(sql_type, payload(raw))


def _variant_type(token: int, properties: bytes, size: int) -> tuple[SqlType, Payload]:
    if token in _SHORT_NAMES:
        codec = None
        if token in _COLLATED:
            codec = "utf-16-le" if token in (tt.NVARCHAR, tt.NCHAR) else codec_of(properties[:5])
        max_bytes = _little_endian(properties[-2:])
        length = max_bytes // 2 if codec == "utf-16-le" else max_bytes
        return SqlType(_SHORT_NAMES[token], length), _text_payload(codec) if codec else bytes
    if token in _SCALED_NAMES:
        return SqlType(_SCALED_NAMES[token], scale=properties[0]), _moment_payload(token, properties[0])
    if token in (tt.DECIMAL_N, tt.NUMERIC_N):
        name = "numeric" if token == tt.NUMERIC_N else "decimal"
        return SqlType(name, precision=properties[0], scale=properties[1]), _decimal_payload(properties[1])
    if token == tt.DATE_N:
        return SqlType("date"), _little_endian
    nullable = _NULLABLE_OF_FIXED.get(token, token)
    name = _SIZED_NAMES.get((nullable, size), "")
    if not name:
        raise _unknown_type(token)
    return SqlType(name), _sized_payload(nullable, size)


def _unknown_type(token: int) -> SqlError:
    text = f"The incoming tabular data stream (TDS) protocol stream is incorrect. Data type 0x{token:02X} is unknown."
    return SqlError(8009, text)
