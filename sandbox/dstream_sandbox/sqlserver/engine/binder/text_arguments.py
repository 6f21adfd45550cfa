"""Arguments of string functions: as text, as numbers, their count, and the type of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.errors import argument_count
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.number_conversions import category
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


ANY_TEXT = SqlType("nvarchar", 4000, collation=names.DEFAULT_COLLATION)


SHORT_TEXT = SqlType("varchar", 8000, collation=names.DEFAULT_COLLATION)


def text_of(binder: FunctionBinder, node: nodes.Node) -> Ex:
    """Return an argument as text; other types become varchar, as with CONVERT."""
    ex = binder.infer(binder.value(node), ANY_TEXT)
    if ex.type is None or category(ex.type) == "str":
        return ex if ex.type is not None else Ex(ex.sql, ANY_TEXT)
    return Ex(cast_sql(ex, SHORT_TEXT), SHORT_TEXT, ex.nullable)


def integer_of(binder: FunctionBinder, node: nodes.Node) -> Ex:
    ex = binder.infer(binder.value(node), names.BIGINT)
    return Ex(cast_sql(ex, names.BIGINT), names.BIGINT, ex.nullable)


def need(node: nodes.Call, low: int, high: int | None = None) -> None:
    high = low if high is None else high
    if not low <= len(node.args) <= high:
        raise argument_count(node.name[-1], str(low) if low == high else f"{low} to {high}")


def resized(ex: Ex, length: int | None = None, *, fixed_to_varying: bool = True) -> SqlType:
    assert ex.type is not None
    name = {"char": "varchar", "nchar": "nvarchar", "text": "varchar", "ntext": "nvarchar"}.get(
        ex.type.name, ex.type.name
    )
    size = ex.type.length if length is None else length
    limit = 4000 if name == "nvarchar" else 8000
    if size is not None and size != MAX and size > limit:
        size = limit
    return SqlType(name, size, collation=ex.type.collation or names.DEFAULT_COLLATION)
