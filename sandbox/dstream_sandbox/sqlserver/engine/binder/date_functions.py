"""Date and time functions (Microsoft Learn, "Date and time data types and functions (Transact-SQL)")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2, fn
from dstream_sandbox.sqlserver.engine.errors import argument_count, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import dateparts, names, time_zones
from dstream_sandbox.sqlserver.engine.types.dates import TICKS_PER_MINUTE, parse
from dstream_sandbox.sqlserver.engine.types.rounding import round_ticks
from dstream_sandbox.sqlserver.engine.types.storage import pack_offset, unpack_offset
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_DAY, DateTimeOffset, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


def _temporal(binder: FunctionBinder, node: nodes.Node, default: SqlType = names.DATETIME) -> Ex:
    """Return an argument as a date or time; text and numbers become `default`."""
    ex = binder.infer(binder.value(node), default)
    if ex.type is None:
        return Ex(ex.sql, default)
    if ex.type.name in names.TEMPORAL:
        return ex
    return Ex(cast_sql(ex, default), default, ex.nullable)


def local_ticks(ex: Ex) -> str:
    """Return any temporal value as local ticks since year 1."""
    assert ex.type is not None
    if ex.type.name == "date":
        return f"({ex.sql}*{TICKS_PER_DAY})"
    if ex.type.name == "time":
        return f"({ex.sql}+{693595 * TICKS_PER_DAY})"
    if ex.type.name == "datetimeoffset":
        return f1("local", lambda: _local, ex.sql)
    return ex.sql


def _local(value: bytes) -> int:
    utc, minutes = unpack_offset(value)
    return utc + minutes * TICKS_PER_MINUTE


def _part(node: nodes.Call) -> str:
    first = node.args[0]
    assert isinstance(first, nodes.Literal)
    return dateparts.part_named(first.text)


def _dateadd(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) != 3:
        raise argument_count("dateadd", "3")
    part = _part(node)
    number = binder.infer(binder.value(node.args[1]), names.INT)
    when = _temporal(binder, node.args[2])
    assert when.type is not None
    type_ = when.type

    def shift(count: int, value: Any) -> Any:
        if type_.name == "date":
            return dateparts.add(part, count, value * TICKS_PER_DAY, "date") // TICKS_PER_DAY
        if type_.name == "time":
            return (dateparts.add(part, count, value + 700_000 * TICKS_PER_DAY, "time")) % TICKS_PER_DAY
        if type_.name == "datetimeoffset":
            utc, minutes = unpack_offset(value)
            return pack_offset(DateTimeOffset(dateparts.add(part, count, utc, "datetimeoffset"), minutes))
        return round_ticks(dateparts.add(part, count, value, type_.name), type_, type_.name)

    sql = f2(("dateadd", part, type_), lambda: shift, cast_sql(number, names.BIGINT), when.sql)
    return Ex(sql, type_, number.nullable or when.nullable)


def _datediff(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) != 3:
        raise argument_count("datediff", "3")
    part = _part(node)
    start, end = (_temporal(binder, a, names.DATETIME2) for a in node.args[1:])
    big = node.name[-1] == "datediff_big"

    def count(a: int, b: int) -> int:
        value = dateparts.difference(part, a, b)
        if not big and not -(2**31) <= value < 2**31:
            raise SqlError(
                535,
                "The datediff function resulted in an overflow. The number of dateparts separating two "
                "date/time instances is too large. "
                "Try to use datediff with a less precise datepart.",
            )
        return value

    sql = f2(("datediff", part, big), lambda: count, _utc_ticks(start), _utc_ticks(end))
    return Ex(sql, names.BIGINT if big else names.INT, start.nullable or end.nullable)


def _utc_ticks(ex: Ex) -> str:
    """Return a value's ticks, in UTC for datetimeoffset, whose values compare in UTC."""
    if ex.type is not None and ex.type.name == "datetimeoffset":
        return f1("utc", lambda: lambda v: unpack_offset(v)[0], ex.sql)
    return local_ticks(ex)


def _datepart(binder: FunctionBinder, node: nodes.Call) -> Ex:
    part = _part(node)
    when = _temporal(binder, node.args[1], names.DATETIME2)
    if part == "tzoffset":
        if when.type is not None and when.type.name == "datetimeoffset":
            return Ex(f1("tz", lambda: lambda v: unpack_offset(v)[1], when.sql), names.INT)
        return Ex("0", names.INT)
    if part == "millisecond" and when.type is not None and when.type.name == "datetime":
        when = Ex(f"({when.sql}+5000)", names.DATETIME2, when.nullable)
    return Ex(
        f1(("datepart", part), lambda: lambda t: dateparts.value(part, t), local_ticks(when)), names.INT, when.nullable
    )


def _single_part(part: str) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    def compile_call(binder: FunctionBinder, node: nodes.Call) -> Ex:
        when = _temporal(binder, node.args[0], names.DATETIME2)
        sql = f1(("datepart", part), lambda: lambda t: dateparts.value(part, t), local_ticks(when))
        return Ex(sql, names.INT, when.nullable)

    return compile_call


def _datename(binder: FunctionBinder, node: nodes.Call) -> Ex:
    part = _part(node)
    when = _temporal(binder, node.args[1], names.DATETIME2)
    type_ = SqlType("nvarchar", 30, collation=names.DEFAULT_COLLATION)
    return Ex(
        f1(("datename", part), lambda: lambda t: dateparts.name(part, t), local_ticks(when)), type_, when.nullable
    )


def _datetrunc(binder: FunctionBinder, node: nodes.Call) -> Ex:
    part = _part(node)
    when = _temporal(binder, node.args[1], names.DATETIME2)
    assert when.type is not None
    sql = f1(("datetrunc", part), lambda: lambda t: dateparts.truncate(part, t), local_ticks(when))
    if when.type.name == "date":
        return Ex(f"({sql}/{TICKS_PER_DAY})", when.type)
    if when.type.name not in names.TICKS:
        raise unsupported(f"DATETRUNC of {when.type.name}")
    return Ex(sql, when.type)


def _eomonth(binder: FunctionBinder, node: nodes.Call) -> Ex:
    when = _temporal(binder, node.args[0], names.DATE)
    months = cast_sql(binder.value(node.args[1]), names.INT) if len(node.args) > 1 else "0"
    return Ex(f2("eomonth", lambda: dateparts.end_of_month, cast_sql(when, names.DATE), months), names.DATE)


def _from_parts(binder: FunctionBinder, node: nodes.Call) -> Ex:
    """Compile DATEFROMPARTS, DATETIMEFROMPARTS, DATETIME2FROMPARTS or TIMEFROMPARTS."""
    name = node.name[-1]
    args = [cast_sql(binder.value(a), names.INT) for a in node.args]
    type_ = {"datefromparts": names.DATE, "datetimefromparts": names.DATETIME}.get(name)
    scale = 0
    if type_ is None:
        last = node.args[-1]
        if not isinstance(last, nodes.Literal):
            raise unsupported(f"{name.upper()} with a non-constant precision")
        scale = int(last.text)
        type_ = SqlType("time" if name == "timefromparts" else "datetime2", scale=scale)

    def build(*values: int | None) -> int | None:
        if any(v is None for v in values):
            return None
        parts = [int(v) for v in values if v is not None]
        return _assemble(name, parts, scale)

    return Ex(fn((name, scale), lambda: build, *args), type_)


def _assemble(name: str, parts: list[int], scale: int) -> int:
    try:
        if name == "timefromparts":
            return parse(f"{parts[0]:02d}:{parts[1]:02d}:{parts[2]:02d}")[1] + parts[3] * int(10 ** (7 - scale))
        day = parse(f"{parts[0]:04d}-{parts[1]:02d}-{parts[2]:02d}")[0]
        if name == "datefromparts":
            return day
        seconds = parse(f"{parts[3]:02d}:{parts[4]:02d}:{parts[5]:02d}")[1]
        if name == "datetimefromparts":
            return round_ticks(day * TICKS_PER_DAY + seconds + parts[6] * 10_000, names.DATETIME)
        return day * TICKS_PER_DAY + seconds + parts[6] * int(10 ** (7 - scale))
    except SqlError:
        text = "Cannot construct data type, some of the arguments have values which are not valid."
        raise SqlError(289, text) from None


def _todatetimeoffset(binder: FunctionBinder, node: nodes.Call) -> Ex:
    when = _temporal(binder, node.args[0], names.DATETIME2)
    zone = binder.value(node.args[1])
    is_text = zone.type is not None and zone.type.name in names.CHARACTER
    scale = 7 if when.type is None or when.type.scale is None else when.type.scale

    def attach(ticks: int, offset: Any) -> bytes:
        minutes = _minutes(offset) if is_text else int(offset)
        return pack_offset(DateTimeOffset(ticks - minutes * TICKS_PER_MINUTE, minutes))

    return Ex(
        f2(("toffset", is_text), lambda: attach, local_ticks(when), zone.sql), SqlType("datetimeoffset", scale=scale)
    )


def _switchoffset(binder: FunctionBinder, node: nodes.Call) -> Ex:
    when = binder.value(node.args[0])
    zone = binder.value(node.args[1])
    is_text = zone.type is not None and zone.type.name in names.CHARACTER
    type_ = when.type if when.type is not None and when.type.name == "datetimeoffset" else names.DATETIMEOFFSET

    def move(value: bytes, offset: Any) -> bytes:
        return pack_offset(DateTimeOffset(unpack_offset(value)[0], _minutes(offset) if is_text else int(offset)))

    return Ex(f2(("soffset", is_text), lambda: move, cast_sql(when, type_), zone.sql), type_)


def _minutes(text: str) -> int:
    offset = parse(f"2000-01-01 00:00:00 {text}")[2]
    if offset is None:
        raise SqlError(9812, "The timezone provided to builtin function is invalid.")
    return offset


def at_time_zone(value: Ex, zone: Ex) -> Ex:
    """AT TIME ZONE for a literal name of `time_zones.ZONES`."""
    if zone.literal is None:
        raise unsupported("AT TIME ZONE for a zone that is not a literal")
    key = zone.literal.lower()
    if key not in time_zones.ZONES:
        raise SqlError(9820, f"The time zone parameter '{zone.literal}' provided to AT TIME ZONE clause is invalid.")
    if value.type is None:
        return Ex("NULL", names.DATETIMEOFFSET)
    if value.type.name == "datetimeoffset":
        sql = f1(("to_zone", key), lambda: lambda v: _in_zone(unpack_offset(v)[0], key), value.sql)
        return Ex(sql, value.type, value.nullable)
    scale = 7 if value.type.scale is None else value.type.scale
    sql = f1(("as_zone", key), lambda: lambda t: _in_zone(time_zones.utc_ticks(t, key), key), local_ticks(value))
    return Ex(sql, SqlType("datetimeoffset", scale=scale), value.nullable)


def _in_zone(utc: int, zone: str) -> bytes:
    return pack_offset(DateTimeOffset(utc, time_zones.offset_at(utc, zone)))


def _isdate(binder: FunctionBinder, node: nodes.Call) -> Ex:
    ex = binder.value(node.args[0])
    if ex.type is not None and ex.type.name in names.CHARACTER:

        def check(value: str | None) -> int:
            try:
                return 0 if not value else int(round_ticks(parse(value)[0] * TICKS_PER_DAY, names.DATETIME) >= 0)
            except SqlError:
                return 0

        return Ex(fn("isdate", lambda: check, ex.sql), names.INT, False)
    known = ex.type is not None and ex.type.name in ("datetime", "smalldatetime", "date")
    return Ex(f"({ex.sql} IS NOT NULL)" if known else "0", names.INT, False)


def _now(value: str) -> Callable[[FunctionBinder, nodes.Call], Ex]:
    return lambda binder, node: binder.session_value(value)


def _current_date(binder: FunctionBinder, node: nodes.Call) -> Ex:
    return Ex(f"({binder.session_value('now2').sql}/{TICKS_PER_DAY})", names.DATE, False)


FUNCTIONS: dict[str, Callable[[FunctionBinder, nodes.Call], Ex]] = {
    "dateadd": _dateadd,
    "datediff": _datediff,
    "datediff_big": _datediff,
    "datepart": _datepart,
    "datename": _datename,
    "datetrunc": _datetrunc,
    "year": _single_part("year"),
    "month": _single_part("month"),
    "day": _single_part("day"),
    "eomonth": _eomonth,
    "datefromparts": _from_parts,
    "datetimefromparts": _from_parts,
    "datetime2fromparts": _from_parts,
    "timefromparts": _from_parts,
    "todatetimeoffset": _todatetimeoffset,
    "switchoffset": _switchoffset,
    "isdate": _isdate,
    "getdate": _now("now"),
    "current_timestamp": _now("now"),
    "getutcdate": _now("utcnow"),
    "sysdatetime": _now("now2"),
    "sysutcdatetime": _now("utcnow2"),
    "current_timezone_id": lambda binder, node: Ex("'UTC'", names.SYSNAME, False, literal="UTC"),
    "sysdatetimeoffset": _now("nowoffset"),
    "current_date": _current_date,
}
