"""Scalar functions: which ones exist, how their arguments are converted, and their result types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder import date_functions, math_functions, server_functions, text_functions
from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.errors import argument_count, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.functions import FunctionBinder

Compile = Callable[["FunctionBinder", nodes.Call], Ex]


def scalar_function(binder: FunctionBinder, node: nodes.Call) -> Ex | None:
    """Compile a call; None if no function has that name."""
    if len(node.name) == 3 and node.name[0].lower() not in ("", binder.environment.database.lower()):
        raise unsupported("functions and tables of two databases in one statement")
    found = _FUNCTIONS.get(node.name[-1])
    if found is None:
        return server_functions.database_function(binder, node)
    return found(binder, node)


def _coalesce(binder: FunctionBinder, node: nodes.Call) -> Ex:
    items = [binder.value(a) for a in node.args]
    if len(items) < 2:
        raise argument_count("coalesce", "2 or more")
    type_ = binder.common(items)
    if type_ is None:
        raise SqlError(
            4127, "At least one of the arguments to COALESCE must be an expression that is not the NULL constant."
        )
    sql = f"COALESCE({','.join(binder.to(i, type_) for i in items)})"
    return Ex(sql, type_, all(i.nullable for i in items))


def _isnull(binder: FunctionBinder, node: nodes.Call) -> Ex:
    """The first argument's type determines the result type (Microsoft Learn, "ISNULL (Transact-SQL)")."""
    if len(node.args) != 2:
        raise argument_count("isnull", "2")
    check, other = (binder.value(a) for a in node.args)
    check, other = binder.infer(check, other.type), binder.infer(other, check.type)
    type_ = check.type or other.type or names.INT
    return Ex(
        f"COALESCE({binder.to(check, type_)},{binder.to(other, type_)})", type_, check.nullable and other.nullable
    )


def _nullif(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) != 2:
        raise argument_count("nullif", "2")
    left = binder.value(node.args[0])
    test = binder.predicate(nodes.Compare("=", node.args[0], node.args[1]))
    return Ex(f"CASE WHEN {test} THEN NULL ELSE {left.sql} END", left.type)


def _iif(binder: FunctionBinder, node: nodes.Call) -> Ex:
    if len(node.args) != 3:
        raise argument_count("iif", "3")
    return binder.value(nodes.Case(None, ((node.args[0], node.args[1]),), node.args[2]))


def _choose(binder: FunctionBinder, node: nodes.Call) -> Ex:
    branches = tuple((nodes.Literal("int", str(i)), item) for i, item in enumerate(node.args[1:], 1))
    return binder.value(nodes.Case(node.args[0], branches, None))


def _greatest(binder: FunctionBinder, node: nodes.Call) -> Ex:
    """NULLs are ignored (Microsoft Learn, "Logical functions - GREATEST")."""
    items = [binder.value(a) for a in node.args]
    type_: SqlType | None = binder.common(items)
    operator = "MAX" if node.name[-1] == "greatest" else "MIN"
    rows = " UNION ALL ".join(f"SELECT {binder.to(i, type_)} AS v" for i in items)
    return Ex(f"(SELECT {operator}(v) FROM ({rows}))", type_)


def _checksum(binder: FunctionBinder, node: nodes.Call) -> Ex:

    raise unsupported("CHECKSUM, whose algorithm is not published")


def _variant_property(binder: FunctionBinder, node: nodes.Call) -> Ex:
    from dstream_sandbox.sqlserver.engine.binder.expression import f2
    from dstream_sandbox.sqlserver.engine.types.storage import pack_variant, variant_parts
    from dstream_sandbox.sqlserver.engine.types.variant_facts import variant_fact

    value = binder.value(node.args[0])
    wanted = binder.value(node.args[1])

    def read(stored: str, which: str) -> str | None:
        type_, _inner = variant_parts(stored)
        if which.lower() == "basetype":
            return pack_variant(names.SYSNAME, type_.name)
        found = variant_fact(type_, which.lower())
        return None if found is None else pack_variant(names.INT, found)

    sql = f2("variant_property", lambda: read, cast_sql(value, names.VARIANT), wanted.sql)
    return Ex(sql, names.VARIANT)


_FUNCTIONS: dict[str, Compile] = {
    "coalesce": _coalesce,
    "isnull": _isnull,
    "nullif": _nullif,
    "iif": _iif,
    "choose": _choose,
    "greatest": _greatest,
    "least": _greatest,
    "checksum": _checksum,
    "binary_checksum": _checksum,
    "sql_variant_property": _variant_property,
    **text_functions.FUNCTIONS,
    **math_functions.FUNCTIONS,
    **date_functions.FUNCTIONS,
    **server_functions.FUNCTIONS,
}
