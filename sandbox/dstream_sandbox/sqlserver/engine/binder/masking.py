"""Dynamic data masking: what a session without UNMASK reads instead of a masked column.

Microsoft Learn, "Dynamic data masking": conditions see the real values, results do not. default() gives xxxx (fewer if
the column is shorter), 0, 1900-01-01, or one zero byte, by type. NULL stays NULL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.expressions import ExpressionBinder


def masked(binder: ExpressionBinder, ex: Ex) -> Ex:
    """The masked form of a select item that depends on a masked column."""
    if ex.type is None:
        return ex
    mask = cast_sql(binder.value(_default(ex.type)), ex.type)
    return replace(ex, sql=f"CASE WHEN {ex.sql} IS NOT NULL THEN {mask} END", masked=False)


def _default(type_: SqlType) -> nodes.Literal:
    if type_.name in names.CHARACTER:
        length = 4 if type_.length in (None, MAX) else type_.length
        return nodes.Literal("nstr" if type_.name in names.UNICODE else "str", "xxxx"[:length])
    if type_.name in names.TEMPORAL:
        return nodes.Literal("str", "1900-01-01")
    if type_.name in names.BINARY:
        return nodes.Literal("bin", "0x00")
    if type_.name in names.INTEGERS | names.DECIMALS | names.MONIES | names.APPROXIMATE | {"bit"}:
        return nodes.Literal("int", "0")
    raise unsupported(f"masked columns of type {type_.name}")
