"""CAST, CONVERT and implicit conversion between stored values, with SQL Server's errors
(Microsoft Learn, "CAST and CONVERT (Transact-SQL)" and "Data type conversion (Database Engine)")."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from dstream_sandbox.sqlserver.engine.types import dates, names, rounding, spatial
from dstream_sandbox.sqlserver.engine.types.number_conversions import (
    Convert,
    _exact,
    _signed,
    _to_bit,
    _to_dec,
    _to_float,
    _to_int,
    _to_money,
    category,
    refused,
)
from dstream_sandbox.sqlserver.engine.types.storage import (
    pack_guid,
    pack_offset,
    pack_variant,
    unpack_offset,
    variant_parts,
)
from dstream_sandbox.sqlserver.engine.types.text_conversions import _to_bin, _to_str
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, DateTimeOffset, SqlType


def convert(source: SqlType, target: SqlType, style: int = 0) -> Convert | None:
    """Return the conversion; None if the stored form does not change. Raises 529 for a pair that CAST refuses."""
    if source == target:
        return None
    if category(source) == "sql_variant" and target.name != "sql_variant":
        return lambda v: _from_variant(v, target, style)
    build = _TARGETS.get(category(target))
    found = build(source, target, style) if build is not None else refused
    if found is refused:
        text = f"Explicit conversion from data type {source.name} to {target.name} is not allowed."
        raise SqlError(529, text)
    return found


def _from_variant(value: str, target: SqlType, style: int) -> Any:
    source, stored = variant_parts(value)
    change = convert(source, target, style)
    return stored if stored is None or change is None else change(stored)


def _moment(source: SqlType, style: int) -> Callable[[Any], tuple[int, int, int | None]] | None:
    """Return a function from any temporal or text value to (days, ticks of the day, offset)."""
    origin = category(source)
    if origin == "str":
        return lambda v: dates.parse(v, style)
    if origin == "date":
        return lambda v: (v, 0, None)
    if origin == "time":
        return lambda v: (dates.EPOCH_1900, v, None)
    if origin == "ticks":
        return lambda v: (v // TICKS_PER_DAY, v % TICKS_PER_DAY, None)
    if origin == "datetimeoffset":

        def local(value: bytes) -> tuple[int, int, int | None]:
            utc, minutes = unpack_offset(value)
            ticks = utc + minutes * dates.TICKS_PER_MINUTE
            return ticks // TICKS_PER_DAY, ticks % TICKS_PER_DAY, minutes

        return local
    return None


def _to_temporal(source: SqlType, target: SqlType, style: int) -> Convert | None:
    origin = category(source)
    scale = 7 if target.scale is None else target.scale
    if origin in ("int", "dec", "float") and target.name in ("datetime", "smalldatetime"):
        return _number_to_datetime(source, target)
    if origin == "bin" and target.name == "datetime":
        return lambda v: rounding.round_ticks(
            (_signed(v[-8:-4]) + dates.EPOCH_1900) * TICKS_PER_DAY + int.from_bytes(v[-4:], "big") * 100_000 // 3,
            target,
        )
    moment = _moment(source, style)
    if moment is None:
        return refused
    if target.name == "date":
        if source.name == "time":
            return refused
        return lambda v: moment(v)[0]
    if target.name == "time":
        if source.name == "date":
            return refused
        return lambda v: rounding.to_scale(moment(v)[1], scale) % TICKS_PER_DAY
    if target.name == "datetimeoffset":
        return lambda v: _with_offset(moment(v), scale)

    is_complete = origin == "str" and style in (126, 127) and target.name != "datetime2"
    read = dates.parse_complete if is_complete else moment

    def to_ticks(value: Any) -> int:
        days, ticks, offset = read(value)
        if offset is not None and origin == "str" and target.name != "datetime2":
            raise dates.conversion_failed()
        return rounding.round_ticks(days * TICKS_PER_DAY + ticks, target, source.name)

    return to_ticks


def _with_offset(moment: tuple[int, int, int | None], scale: int) -> bytes:
    days, ticks, offset = moment
    local = rounding.to_scale(days * TICKS_PER_DAY + ticks, scale)
    return pack_offset(DateTimeOffset(local - (offset or 0) * dates.TICKS_PER_MINUTE, offset or 0))


def _number_to_datetime(source: SqlType, target: SqlType) -> Convert:
    read = _exact(source)

    def change(value: Any) -> int:
        days = Decimal(value) if read is None else Decimal(read(value)[0]).scaleb(-read(value)[1])
        ticks = int((days + dates.EPOCH_1900) * TICKS_PER_DAY)
        if not 0 <= ticks < (dates.MAX_DAYS + 1) * TICKS_PER_DAY:
            raise SqlError(8115, f"Arithmetic overflow error converting expression to data type {target.name}.")
        return rounding.round_ticks(ticks, target, source.name)

    return change


def _to_guid(source: SqlType, target: SqlType, style: int) -> Convert | None:
    origin = category(source)
    if origin == "str":

        def from_text(value: str) -> bytes:
            try:
                return pack_guid(UUID(value.strip()[:36].strip("{}") if "{" not in value else value.strip()))
            except ValueError:
                text = "Conversion failed when converting from a character string to uniqueidentifier."
                raise SqlError(8169, text) from None

        return from_text
    if origin == "bin":
        return lambda v: pack_guid(UUID(bytes_le=v[:16].ljust(16, b"\0")))
    return refused


def _to_xml(source: SqlType, target: SqlType, style: int) -> Convert | None:
    return str if category(source) == "str" else refused


def _to_variant(source: SqlType, target: SqlType, style: int) -> Convert | None:
    if names.is_lob(source) or source.name in names.CLR or source.name == "rowversion":
        return refused
    return lambda v: pack_variant(source, v)


def _to_clr(source: SqlType, target: SqlType, style: int) -> Convert | None:
    if category(source) == "str":
        return lambda v: spatial.clr_parse(target.name, v)
    return bytes if category(source) == "bin" else refused


_TARGETS: dict[str, Callable[[SqlType, SqlType, int], Convert | None]] = {
    "int": _to_int,
    "bit": _to_bit,
    "dec": _to_dec,
    "money": _to_money,
    "float": _to_float,
    "str": _to_str,
    "bin": _to_bin,
    "ticks": _to_temporal,
    "date": _to_temporal,
    "time": _to_temporal,
    "datetimeoffset": _to_temporal,
    "uniqueidentifier": _to_guid,
    "xml": _to_xml,
    "sql_variant": _to_variant,
    "hierarchyid": _to_clr,
    "geometry": _to_clr,
    "geography": _to_clr,
}
