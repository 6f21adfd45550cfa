"""How SQL Server values are stored in SQLite, so that SQLite's own comparison orders them as SQL Server does.

decimal up to 18 digits and money: the scaled integer. Longer decimals: 16 bytes, big-endian, offset by 2**127.
uniqueidentifier: 16 bytes in SQL Server's comparison order (SqlGuid: bytes 10-15, 8-9, 6-7, 4-5, 0-3). datetimeoffset:
8 bytes of UTC ticks and 2 bytes offset. sql_variant: JSON text with type and stored value. Other types: as in
values.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Context, Decimal
from typing import cast
from uuid import UUID

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import DateTimeOffset, SqlType, Value, Variant

Stored = int | float | str | bytes | None
_EXACT = Context(prec=80)
_OFFSET = 1 << 127
_GUID_ORDER = (10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3)
_GUID_BACK = tuple(_GUID_ORDER.index(i) for i in range(16))
SMALL_PRECISION = 18


def is_big(type_: SqlType) -> bool:
    """Whether a decimal type is stored in 16 bytes."""
    return type_.name in names.DECIMALS and (type_.precision or 18) > SMALL_PRECISION


def pack_big(scaled: int) -> bytes:
    return (scaled + _OFFSET).to_bytes(16, "big")


def unpack_big(stored: bytes) -> int:
    return int.from_bytes(stored, "big") - _OFFSET


def pack_guid(value: UUID) -> bytes:
    raw = value.bytes_le
    return bytes(raw[i] for i in _GUID_ORDER)


def unpack_guid(stored: bytes) -> UUID:
    return UUID(bytes_le=bytes(stored[i] for i in _GUID_BACK))


def pack_offset(value: DateTimeOffset) -> bytes:
    return value.utc_ticks.to_bytes(8, "big") + (value.offset_minutes + 0x8000).to_bytes(2, "big")


def unpack_offset(stored: bytes) -> DateTimeOffset:
    return DateTimeOffset(int.from_bytes(stored[:8], "big"), int.from_bytes(stored[8:10], "big") - 0x8000)


def scale_of(type_: SqlType) -> int:
    """Return the number of decimals of an exact numeric type."""
    if type_.name in names.MONIES:
        return 4
    return (type_.scale or 0) if type_.name in names.DECIMALS else 0


def decoder(type_: SqlType) -> Callable[[Stored], Value] | None:
    """Return the function from the stored form to values.py's form; None if they are the same. Never gets NULL."""
    name = type_.name
    if name == "bit":
        return bool
    if name in names.DECIMALS or name in names.MONIES:
        scale = -scale_of(type_)
        if is_big(type_):
            return lambda v: Decimal(unpack_big(cast(bytes, v))).scaleb(scale, _EXACT)
        return lambda v: Decimal(cast(int, v)).scaleb(scale, _EXACT)
    if name == "uniqueidentifier":
        return lambda v: unpack_guid(cast(bytes, v))
    if name == "datetimeoffset":
        return lambda v: unpack_offset(cast(bytes, v))
    if name == "sql_variant":
        return lambda v: unpack_variant(cast(str, v))
    return None


def encoder(type_: SqlType) -> Callable[[Value], Stored] | None:
    """Return the function from values.py's form to the stored form; None if they are the same. Never gets NULL."""
    name = type_.name
    if name == "bit":
        return lambda v: 1 if v else 0
    if name in names.DECIMALS or name in names.MONIES:
        scale = scale_of(type_)
        if is_big(type_):
            return lambda v: pack_big(scaled(cast(Decimal, v), scale))
        return lambda v: scaled(cast(Decimal, v), scale)
    if name == "uniqueidentifier":
        return lambda v: pack_guid(cast(UUID, v))
    if name == "datetimeoffset":
        return lambda v: pack_offset(cast(DateTimeOffset, v))
    if name == "sql_variant":
        return lambda v: pack_variant(cast(Variant, v).type, to_stored(cast(Variant, v).type, cast(Variant, v).value))
    if name in names.APPROXIMATE:
        return lambda v: float(cast(float, v))
    return None


def scaled(value: Decimal | int, scale: int) -> int:
    """Return the integer that represents `value` at that scale, rounded half away from zero."""
    exact = Decimal(value).scaleb(scale, _EXACT)
    return int(exact.to_integral_value("ROUND_HALF_UP", _EXACT))


def to_stored(type_: SqlType, value: Value) -> Stored:
    encode = encoder(type_)
    return cast(Stored, value) if value is None or encode is None else encode(value)


def from_stored(type_: SqlType, stored: Stored) -> Value:
    decode = decoder(type_)
    return cast(Value, stored) if stored is None or decode is None else decode(stored)


def pack_variant(type_: SqlType, stored: Stored) -> str:
    body = stored.hex() if isinstance(stored, bytes) else stored
    return json.dumps([type_.name, type_.length, type_.precision, type_.scale, isinstance(stored, bytes), body])


def variant_parts(text: str) -> tuple[SqlType, Stored]:
    name, length, precision, scale, is_bytes, body = json.loads(text)
    collation = names.DEFAULT_COLLATION if name in names.CHARACTER else None
    type_ = SqlType(name, length, precision, scale, collation)
    return type_, bytes.fromhex(body) if is_bytes else body


def unpack_variant(text: str) -> Variant:
    type_, stored = variant_parts(text)
    return Variant(type_, from_stored(type_, stored))


def row_decoder(types: list[SqlType]) -> Callable[[list[tuple[Stored, ...]]], list[tuple[Value, ...]]] | None:
    """Return a decoder of whole rows, compiled for these types; None if no column needs decoding."""
    decoders = {f"d{i}": decode for i, t in enumerate(types) if (decode := decoder(t)) is not None}
    if not decoders:
        return None
    variables = ", ".join(f"v{i}" for i in range(len(types)))
    cells = ", ".join(
        f"(None if v{i} is None else d{i}(v{i}))" if f"d{i}" in decoders else f"v{i}" for i in range(len(types))
    )
    source = f"lambda rows: [({cells},) for ({variables},) in rows]"
    return cast(
        Callable[[list[tuple[Stored, ...]]], list[tuple[Value, ...]]],
        eval(source, dict(decoders)),  # the source is built from numbers only
    )
