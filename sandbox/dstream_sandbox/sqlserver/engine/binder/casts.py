"""Compiled conversions: plain SQL where SQLite can do it, a function otherwise."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.convert import convert
from dstream_sandbox.sqlserver.engine.types.number_conversions import Convert, category
from dstream_sandbox.sqlserver.engine.types.precedence import as_decimal
from dstream_sandbox.sqlserver.engine.types.storage import is_big, scale_of
from dstream_sandbox.sqlserver.engine.types.text_conversions import to_code_page
from dstream_sandbox.sqlserver.half_pairs import units_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, TICKS_PER_DAY, SqlType

_IMPLICIT_REFUSED = {
    ("float", "bin"), ("str", "bin"), ("datetimeoffset", "int"), ("ticks", "int"), ("ticks", "dec"), ("ticks", "float"),
    ("ticks", "money"), ("bin", "float"), ("uniqueidentifier", "int"), ("sql_variant", "int"), ("sql_variant", "str"),
    ("sql_variant", "dec"), ("sql_variant", "float"), ("sql_variant", "bit"), ("sql_variant", "ticks"),
    ("sql_variant", "bin"),
    ("sql_variant", "money"), ("sql_variant", "uniqueidentifier"), ("sql_variant", "date"), ("ticks", "bin"), ("int",
    "date"),
}  # fmt: skip


def cast_sql(ex: Ex, target: SqlType, style: int = 0) -> str:
    """Return SQL that converts `ex` to `target`; NULL stays NULL."""
    if ex.type is None or ex.type == target:
        return ex.sql
    inline = _inline(ex.sql, ex.type, target)
    if inline is not None:
        return inline
    source = ex.type
    function = convert(source, target, style)
    if function is None:
        return ex.sql
    return f1(("convert", source, target, style), lambda: function, ex.sql)


def try_cast_sql(ex: Ex, target: SqlType, style: int = 0) -> str:
    """TRY_CAST: NULL instead of a conversion error. An invalid pair of types is still an error."""
    if ex.type is None or ex.type == target:
        return ex.sql
    source = ex.type
    function = convert(source, target, style)
    if function is None:
        return ex.sql
    return f1(("try", source, target, style), lambda: _tolerant(function), ex.sql)


def _tolerant(function: Convert) -> Convert:
    def attempt(value: object) -> object:
        try:
            return function(value)
        except SqlError:
            return None

    return attempt


def _inline(sql: str, source: SqlType, target: SqlType) -> str | None:
    if source.name in names.INTEGERS or source.name == "bit":
        if target.name in names.DECIMALS and not is_big(target):
            room = (target.precision or 18) - (target.scale or 0)
            if room >= (as_decimal(source).precision or 0):
                return f"({sql}*{10 ** (target.scale or 0)})" if target.scale else sql
        if target.name == "float":
            return f"CAST({sql} AS REAL)"
        return None
    if source.name in names.DECIMALS and target.name in names.DECIMALS and not is_big(source) and not is_big(target):
        shift = scale_of(target) - scale_of(source)
        room = (target.precision or 18) - scale_of(target) >= (source.precision or 18) - scale_of(source)
        if room and shift >= 0:
            return f"({sql}*{10**shift})" if shift else sql
        return None
    if source.name == "date" and target.name == "datetime2":
        return f"({sql}*{TICKS_PER_DAY})"
    if source.name in names.TICKS and target.name == "datetime2" and target.scale in (None, 7):
        return sql
    return None


def implicit(source: SqlType, target: SqlType) -> None:
    """Raise 257 if SQL Server requires an explicit CONVERT."""
    if (category(source), category(target)) in _IMPLICIT_REFUSED:
        text = (
            f"Implicit conversion from data type {source.name} to {target.name} is not allowed. "
            "Use the CONVERT function to run this query."
        )
        raise SqlError(257, text)


def assign_sql(ex: Ex, target: SqlType, where: str) -> str:
    """Return SQL for `ex` as a column's new value. Text or bytes that are too long are an error, not truncated. `where`
    names column and table for 2628."""
    if ex.type is None:
        return ex.sql
    source = ex.type
    implicit(source, target)
    from_text = source.name in names.CHARACTER and target.name in names.CHARACTER
    from_bytes = source.name in names.BINARY and target.name in names.BINARY
    if not from_text and not from_bytes:
        return cast_sql(ex, target)
    limit = target.length or (8 if target.name == "rowversion" else 1)
    fits = limit == MAX or (source.length not in (None, MAX) and (source.length or 0) <= limit)
    narrows = source.name in names.UNICODE and target.name not in names.UNICODE
    fixed = target.name in ("char", "nchar", "binary")
    if fits and not narrows and not (fixed and (source.name != target.name or source.length != limit)):
        return ex.sql
    if from_text and target.name in names.UNICODE:
        return f1(("fit", target, narrows, where), lambda: _wide_fitter(limit, fixed, where), ex.sql)
    build = _text_fitter if from_text else _bytes_fitter
    return f1(("fit", target, narrows, where), lambda: build(limit, fixed, narrows, where), ex.sql)


def _wide_fitter(limit: int, fixed: bool, where: str) -> Convert:
    def fit(value: str) -> str:
        if limit != MAX and names.text_units(value) > limit:
            if names.text_units(value.rstrip(" ")) > limit:
                raise _truncated(where, units_of(value)[: 2 * limit].decode("utf-16-le", "ignore"))
            value = names.cut_units(value, limit)
        return value + " " * (limit - names.text_units(value)) if fixed else value

    return fit


def _text_fitter(limit: int, fixed: bool, narrows: bool, where: str) -> Convert:
    def fit(value: str) -> str:
        kept = to_code_page(value) if narrows else value
        if limit != MAX and len(kept) > limit:
            if len(kept.rstrip(" ")) > limit:
                raise _truncated(where, kept[:limit])
            kept = kept[:limit]
        return kept.ljust(limit) if fixed else kept

    return fit


def _bytes_fitter(limit: int, fixed: bool, narrows: bool, where: str) -> Convert:
    def fit(value: bytes) -> bytes:
        if limit != MAX and len(value) > limit:
            raise _truncated(where, "")
        return value.ljust(limit, b"\0") if fixed else value

    return fit


def _truncated(where: str, kept: str) -> SqlError:
    return SqlError(2628, f"String or binary data would be truncated in {where}. Truncated value: '{kept}'.")


def fit_variable_sql(ex: Ex, target: SqlType) -> str:
    """Return SQL for `ex` as a variable's new value, truncated silently."""
    if ex.type is None:
        return ex.sql
    implicit(ex.type, target)
    return cast_sql(ex, target)
