"""Conversions to text and to bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from dstream_sandbox.sqlserver.engine.types import dates, names, spatial
from dstream_sandbox.sqlserver.engine.types.number_conversions import (
    Convert,
    _exact,
    _family,
    category,
    refused,
    rescale,
)
from dstream_sandbox.sqlserver.engine.types.storage import (
    unpack_guid,
    unpack_offset,
)
from dstream_sandbox.sqlserver.half_pairs import text_of, units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, SqlType


def _to_str(source: SqlType, target: SqlType, style: int) -> Convert | None:
    origin = category(source)
    length = target.length or 1
    finish = _finish_text(target)
    if origin == "str":
        same_width = (
            source.name in names.UNICODE or target.name not in names.UNICODE or source.name not in names.UNICODE
        )
        fits = length == MAX or (source.length not in (None, MAX) and (source.length or 0) <= length)
        narrows = source.name in names.UNICODE and target.name not in names.UNICODE
        if fits and same_width and not narrows and target.name not in ("char", "nchar"):
            return None
        if target.name in names.UNICODE and length != MAX:
            return lambda v: finish(names.cut_units(v, length))
        cut = to_code_page if narrows else _same_text
        return lambda v: finish(cut(v) if length == MAX else cut(v)[:length])
    text = _text_of(source, style, target)
    if text is None:
        return refused

    def change(value: Any) -> str:
        shown = text(value)
        if length != MAX and len(shown) > length:
            if origin in ("int", "bit") and target.name not in names.UNICODE:
                return finish("*")
            if origin in ("int", "bit", "dec", "float", "money"):
                raise SqlError(
                    8115, f"Arithmetic overflow error converting {_family(source)} to data type {target.name}."
                )
            if origin == "uniqueidentifier":
                raise SqlError(8170, "Insufficient result space to convert uniqueidentifier value to char.")
            shown = shown[:length]
        return finish(shown)

    return change


def _same_text(value: str) -> str:
    return value


def _finish_text(target: SqlType) -> Callable[[str], str]:
    if target.name in ("char", "nchar"):
        length = target.length or 1
        return lambda v: v.ljust(length)
    return _same_text


def to_code_page(text: str) -> str:
    """Return what varchar stores: code page 1252, with question marks for all other characters."""
    return text if text.isascii() else text.encode("cp1252", "replace").decode("cp1252", "replace")


def _text_of(source: SqlType, style: int, target: SqlType) -> Callable[[Any], str] | None:
    origin = category(source)
    if origin in ("int", "bit"):
        return str
    if origin == "dec":
        read = _exact(source)
        assert read is not None
        return lambda v: exact_text(*read(v))
    if origin == "money":
        return lambda v: _money_text(v, style)
    if origin == "float":
        return lambda v: float_text(v, style, source.name)
    if origin == "uniqueidentifier":
        return lambda v: str(unpack_guid(v)).upper()
    if origin == "bin":
        return lambda v: _bytes_text(v, style, target)
    if origin == "xml":
        return str
    if origin in ("hierarchyid", "geometry", "geography"):
        return lambda v: spatial.clr_text(source.name, v)
    return _temporal_text(source, style)


def _temporal_text(source: SqlType, style: int) -> Callable[[Any], str] | None:
    """date, time, datetime2, datetimeoffset default to style 121, datetime to 0."""
    scale = 7 if source.scale is None else source.scale
    if source.name in ("datetime", "smalldatetime"):
        digits = 3 if source.name == "datetime" else 0
        if source.name == "datetime":  # shown to the millisecond: .003, .007
            return lambda v: _datetime_text((v + 5_000) // 10_000 * 10_000, style)
        return lambda v: dates.styled(v // TICKS_PER_DAY, v % TICKS_PER_DAY, digits, None, style)
    shown = style or 121
    if source.name == "datetime2":
        return lambda v: dates.styled(v // TICKS_PER_DAY, v % TICKS_PER_DAY, scale, None, shown)
    if source.name == "date":
        return lambda v: dates.styled(v, None, 0, None, shown)
    if source.name == "time":
        return lambda v: dates.styled(None, v, scale, None, shown)
    if source.name == "datetimeoffset":

        def from_offset(value: bytes) -> str:
            utc, minutes = unpack_offset(value)
            local = utc + minutes * dates.TICKS_PER_MINUTE
            return dates.styled(local // TICKS_PER_DAY, local % TICKS_PER_DAY, scale, minutes, shown)

        return from_offset
    return None


def _datetime_text(ticks: int, style: int) -> str:
    return dates.styled(ticks // TICKS_PER_DAY, ticks % TICKS_PER_DAY, 3, None, style)


def exact_text(value: int, scale: int) -> str:
    """Return `-12.50` for (-1250, 2)."""
    if not scale:
        return str(value)
    digits = str(abs(value)).rjust(scale + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def _money_text(value: int, style: int) -> str:
    if style in (2, 126):
        return exact_text(value, 4)
    text = exact_text(rescale(value, 4, 2), 2)
    return f"{int(text[:-3]):,}{text[-3:]}" if style == 1 else text


def float_text(value: float, style: int, name: str = "float") -> str:
    """Style 0: at most 6 digits; 1: 8; 2: 16; 3: the shortest text that converts back exactly (at most 17 digits)."""
    if style in (1, 2):
        text = f"{value:.{7 if style == 1 else 15}e}"
    elif style == 3:
        text = repr(value)
    else:
        text = f"{value:.6g}"
    return re.sub(r"e([+-])(\d+)$", lambda m: f"e{m[1]}{int(m[2]):03d}", text.removesuffix(".0"))


def _bytes_text(value: bytes, style: int, target: SqlType) -> str:
    if style in (1, 2):
        return ("0x" if style == 1 else "") + value.hex().upper()
    if target.name in names.UNICODE:
        return text_of(value[: len(value) // 2 * 2])
    return value.decode("cp1252", "replace")


def _to_bin(source: SqlType, target: SqlType, style: int) -> Convert | None:
    raw = _bytes_of(source, style)
    if raw is None:
        return refused
    length = 8 if target.name == "rowversion" else (target.length or 1)
    fixed = target.name in ("binary", "rowversion")
    numeric = category(source) in ("int", "bit", "dec", "money", "float")

    def change(value: Any) -> bytes:
        found = raw(value)
        if length == MAX or target.name == "image":
            return found
        if numeric and len(found) > length:
            return found[-length:]
        found = found[:length]
        return (found.rjust(length, b"\0") if numeric else found.ljust(length, b"\0")) if fixed else found

    return change


def _bytes_of(source: SqlType, style: int) -> Callable[[Any], bytes] | None:
    origin = category(source)
    if origin == "bin" or origin in names.CLR:
        return bytes
    if origin == "str" and style in (1, 2):
        return lambda v: _parse_hex(v, style)
    if origin == "str":
        return units_of if source.name in names.UNICODE else lambda v: v.encode("cp1252", "replace")
    if origin in ("int", "bit", "money"):
        size = {"tinyint": 1, "bit": 1, "smallint": 2, "int": 4, "smallmoney": 4}.get(source.name, 8)
        return lambda v: v.to_bytes(size, "big", signed=v < 0)
    if origin == "float":
        form = ">f" if source.name == "real" else ">d"
        return lambda v: struct.pack(form, v)
    if origin == "uniqueidentifier":
        return lambda v: unpack_guid(v).bytes_le
    if origin == "dec":
        return lambda v: _decimal_bytes(v, source)
    return None


def _decimal_bytes(value: Any, source: SqlType) -> bytes:
    """Return precision, scale, a zero, the sign, then little-endian words."""
    read = _exact(source)
    assert read is not None
    number, scale = read(value)
    body = abs(number).to_bytes(16, "little").rstrip(b"\0")
    body = body.ljust(max(4, -(-len(body) // 4) * 4), b"\0")
    return bytes([source.precision or 18, scale, 0, 0 if number < 0 else 1]) + body


def _parse_hex(text: str, style: int) -> bytes:
    digits = text.strip()
    if style == 1:
        if not digits.lower().startswith("0x"):
            raise SqlError(8114, "Error converting data type varchar to varbinary.")
        digits = digits[2:]
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise SqlError(8114, "Error converting data type varchar to varbinary.") from None
