"""Method calls of CLR types and AT TIME ZONE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.date_functions import at_time_zone
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, fn
from dstream_sandbox.sqlserver.engine.errors import unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names, spatial
from dstream_sandbox.sqlserver.engine.types.names import make_type
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder


def special_form(binder: FunctionBinder, node: nodes.Node) -> Ex:
    if isinstance(node, nodes.AtTimeZone):
        return at_time_zone(binder.value(node.operand), binder.value(node.zone))
    if isinstance(node, nodes.StaticMethod):
        return _static(binder, node)
    assert isinstance(node, nodes.Method)
    operand = binder.value(node.operand)
    if operand.type is None or operand.type.name not in names.CLR:
        shown = operand.type.name if operand.type is not None else "NULL"
        raise SqlError(258, f"Cannot call methods on {shown}.", severity=15)
    method = spatial.METHODS.get((operand.type.name, node.name.lower()))
    if method is None:
        raise unsupported(f"{operand.type.name}.{node.name}")
    type_, function = method
    args = [binder.value(a).sql for a in node.args or ()]
    name = operand.type.name
    return Ex(fn((name, node.name.lower()), lambda: function, operand.sql, *args), type_)


def _static(binder: FunctionBinder, node: nodes.StaticMethod) -> Ex:
    type_ = make_type(node.type)
    name = node.name.lower()
    if name == "parse" or (name.startswith("st") and name.endswith("fromtext")):
        text = Ex(cast_sql(binder.value(node.args[0]), names.NVARCHAR_MAX), names.NVARCHAR_MAX)
        if len(node.args) < 2:
            return Ex(cast_sql(text, type_), type_)
        srid = binder.value(node.args[1]).sql
        return Ex(fn(("with_srid", node.type), lambda: spatial.parser_with_srid(node.type), text.sql, srid), type_)
    if name == "getroot" and node.type == "hierarchyid":
        return Ex("X''", type_, False)
    if name == "point":
        args = [cast_sql(binder.value(a), names.FLOAT) for a in node.args]
        return Ex(fn(("point", node.type), lambda: spatial.point_maker(node.type), *args), type_)
    if name == "null":
        return Ex("NULL", type_)
    raise unsupported(f"{node.type}::{node.name}")
