"""CAST, CONVERT and implicit conversion between stored values, with SQL Server's errors
(Microsoft Learn, "CAST and CONVERT (Transact-SQL)" and "Data type conversion (Database Engine)")."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from dstream_sandbox.sqlserver.engine.types import dates, names, rounding, spatial
from dstream_sandbox.sqlserver.engine.types.storage import (
    is_big,
    pack_big,
    pack_guid,
    pack_offset,
    pack_variant,
    scale_of,
    scaled,
    unpack_big,
    unpack_guid,
    unpack_offset,
    variant_parts,
)
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, DateTimeOffset, SqlType

Convert = Callable[[Any], Any]
"""From one stored form to another; never sees NULL. Stored forms are checked by their SqlType, not by Python's
types."""

LIMITS = {
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
    "money": (-(2**63), 2**63 - 1),
    "smallmoney": (-(2**31), 2**31 - 1),
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_INTEGER = re.compile(r"[+-]?\s*\d+$")


def category(type_: SqlType) -> str:
    """The family that decides how a value converts."""
    name = type_.name
    if name in names.INTEGERS:
        return "int"
    if name in names.DECIMALS:
        return "dec"
    if name in names.CHARACTER:
        return "str"
    if name in names.BINARY:
        return "bin"
    if name in names.TICKS:
        return "ticks"
    if name in names.MONIES:
        return "money"
    if name in names.APPROXIMATE:
        return "float"
    return name


def convert(source: SqlType, target: SqlType, style: int = 0) -> Convert | None:
    """The conversion, None when the stored form stays as it is. Raises 529 for a pair that CAST refuses."""
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


def refused(value: Any) -> Any:  # a marker in a function's shape
    return value


def _from_variant(value: str, target: SqlType, style: int) -> Any:
    source, stored = variant_parts(value)
    change = convert(source, target, style)
    return stored if stored is None or change is None else change(stored)


# Exact numbers


def _exact(source: SqlType) -> Callable[[Any], tuple[int, int]] | None:
    """Stored exact numeric to (scaled integer, scale)."""
    scale = scale_of(source)
    if source.name in names.INTEGERS or source.name == "bit":
        return lambda v: (v, 0)
    if is_big(source):
        return lambda v: (unpack_big(v), scale)
    if source.name in names.DECIMALS or source.name in names.MONIES:
        return lambda v: (v, scale)
    return None


def rescale(value: int, scale: int, target: int) -> int:
    """Half away from zero when digits are lost."""
    if target >= scale:
        return int(value * 10 ** (target - scale))
    divisor: int = 10 ** (scale - target)
    quotient, rest = divmod(abs(value), divisor)
    if rest * 2 >= divisor:
        quotient += 1
    return -quotient if value < 0 else quotient


def int_overflow(value: object, source: SqlType, target: SqlType) -> SqlError:
    if target.name in ("tinyint", "smallint") and source.name in names.INTEGERS:
        return SqlError(220, f"Arithmetic overflow error for data type {target.name}, value = {value}.")
    if source.name in names.INTEGERS:
        return SqlError(8115, f"Arithmetic overflow error converting expression to data type {target.name}.")
    return SqlError(8115, f"Arithmetic overflow error converting {_family(source)} to data type {target.name}.")


def _family(type_: SqlType) -> str:
    return "numeric" if type_.name in names.DECIMALS else "expression" if type_.name in names.INTEGERS else type_.name


def _to_int(source: SqlType, target: SqlType, style: int) -> Convert | None:
    low, high = LIMITS[target.name]
    origin = category(source)

    def fit(value: int) -> int:
        if low <= value <= high:
            return value
        raise int_overflow(value, source, target)

    if origin == "int":
        widens = LIMITS[source.name][0] >= low and LIMITS[source.name][1] <= high
        return None if widens else fit
    if origin == "bit":
        return None
    if origin in ("dec", "money"):
        read = _exact(source)
        assert read is not None

        def from_exact(value: Any) -> int:
            number, scale = read(value)
            if origin == "money":
                return fit(rescale(number, scale, 0))
            whole = abs(number) // 10**scale
            return fit(-whole if number < 0 else whole)

        return from_exact
    if origin == "float":
        return lambda v: fit(int(v))
    if origin == "str":
        return lambda v: _parse_int(v, source, target, low, high)
    if origin == "bin":
        size = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[target.name]
        return lambda v: int.from_bytes(v[-size:].rjust(size, b"\0"), "big", signed=size > 1)
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: fit((v + TICKS_PER_DAY // 2) // TICKS_PER_DAY - dates.EPOCH_1900)
    return refused


def _parse_int(text: str, source: SqlType, target: SqlType, low: int, high: int) -> int:
    stripped = text.strip()
    if not stripped:
        return 0
    if not _INTEGER.match(stripped):
        shown = text.rstrip() if source.name in ("char", "nchar") else text
        raise SqlError(
            245, f"Conversion failed when converting the {source.name} value '{shown}' to data type {target.name}."
        )
    value = int(stripped.replace(" ", ""))
    if low <= value <= high:
        return value
    if target.name == "bigint":
        raise SqlError(8115, f"Arithmetic overflow error converting expression to data type {target.name}.")
    number = {"int": 248, "smallint": 244, "tinyint": 244}[target.name]
    word = {"int": "an int", "smallint": "an INT2", "tinyint": "an INT1"}[target.name]
    tail = "." if number == 248 else ". Use a larger integer column."
    raise SqlError(number, f"The conversion of the {source.name} value '{text}' overflowed {word} column{tail}")


def _to_bit(source: SqlType, target: SqlType, style: int) -> Convert | None:
    origin = category(source)
    if origin in ("int", "float"):
        return lambda v: 1 if v else 0
    if origin in ("dec", "money"):
        read = _exact(source)
        assert read is not None
        return lambda v: 1 if read(v)[0] else 0
    if origin == "str":

        def from_text(value: str) -> int:
            word = value.strip().lower()
            if word in ("true", "false", ""):
                return 1 if word == "true" else 0
            return 1 if _parse_int(value, source, target, -(2**63), 2**63) else 0

        return from_text
    if origin == "bin":
        return lambda v: 1 if any(v) else 0
    return refused


def _to_dec(source: SqlType, target: SqlType, style: int) -> Convert | None:
    precision, scale = target.precision or 18, target.scale or 0
    limit = 10**precision
    pack: Callable[[int], Any] = pack_big if is_big(target) else int
    origin = category(source)

    def fit(value: int, family: str) -> Any:
        if -limit < value < limit:
            return pack(value)
        raise SqlError(8115, f"Arithmetic overflow error converting {family} to data type {target.name}.")

    read = _exact(source)
    if read is not None:
        same = origin == "dec" and scale_of(source) == scale and (source.precision or 18) <= precision
        if same and is_big(source) == is_big(target):
            return None
        return lambda v: fit(rescale(*read(v), scale), _family(source))
    if origin == "float":
        return lambda v: fit(scaled(Decimal(v), scale), source.name)
    if origin == "str":

        def from_text(value: str) -> Any:
            stripped = value.strip()
            match = _NUMBER.match(stripped)
            if match is None or match[2]:
                raise SqlError(8114, f"Error converting data type {source.name} to {target.name}.")
            return fit(scaled(Decimal(stripped), scale), source.name)

        return from_text
    if origin == "bin":
        return lambda v: fit(rescale(_signed(v), 0, scale), source.name)
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: fit(
            scaled(Decimal(v - dates.EPOCH_1900 * TICKS_PER_DAY) / Decimal(TICKS_PER_DAY), scale), source.name
        )
    return refused


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _to_money(source: SqlType, target: SqlType, style: int) -> Convert | None:
    low, high = LIMITS[target.name]
    origin = category(source)

    def fit(value: int) -> int:
        if low <= value <= high:
            return value
        raise SqlError(8115, f"Arithmetic overflow error converting {_family(source)} to data type {target.name}.")

    read = _exact(source)
    if read is not None:
        return lambda v: fit(rescale(*read(v), 4))
    if origin == "float":
        return lambda v: fit(scaled(Decimal(v), 4))
    if origin == "str":

        def from_text(value: str) -> int:
            stripped = re.sub(r"[\s$,€£]", "", value)
            if not stripped:
                return 0
            if not _NUMBER.match(stripped):
                raise SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.")
            return fit(scaled(Decimal(stripped), 4))

        return from_text
    if origin == "bin":
        return lambda v: fit(_signed(v[-8:]))
    return refused


def _to_float(source: SqlType, target: SqlType, style: int) -> Convert | None:
    narrow: Callable[[float], float] = _single if target.name == "real" else float
    origin = category(source)
    if origin == "float":
        return narrow if target.name == "real" else None
    if origin in ("int", "bit"):
        return narrow
    read = _exact(source)
    if read is not None:
        return lambda v: narrow(float(Decimal(read(v)[0]).scaleb(-read(v)[1])))
    if origin == "str":

        def from_text(value: str) -> float:
            stripped = value.strip()
            if stripped and not _NUMBER.match(stripped):
                raise SqlError(8114, f"Error converting data type {source.name} to {target.name}.")
            return narrow(float(stripped or 0))

        return from_text
    if source.name in ("datetime", "smalldatetime"):
        return lambda v: (v - dates.EPOCH_1900 * TICKS_PER_DAY) / TICKS_PER_DAY
    return refused


def _single(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        raise SqlError(232, f"Arithmetic overflow error for type real, value = {value:f}.") from None


# Text and bytes


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
    """What varchar keeps: code page 1252, anything else a question mark."""
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
    """`-12.50` from (-1250, 2)."""
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
    """Style 0: at most 6 digits; 1: 8; 2: 16; 3: the shortest text that reads back equal (17 digits at most)."""
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
        return value[: len(value) // 2 * 2].decode("utf-16-le", "replace")
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
        coding = "utf-16-le" if source.name in names.UNICODE else "cp1252"
        return lambda v: v.encode(coding, "replace")
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
    """precision, scale, a zero, the sign, then little-endian words."""
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


# Dates, times, the rest


def _moment(source: SqlType, style: int) -> Callable[[Any], tuple[int, int, int | None]] | None:
    """Any temporal or text value to (days, ticks of the day, offset)."""
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

    def to_ticks(value: Any) -> int:
        days, ticks, offset = moment(value)
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
