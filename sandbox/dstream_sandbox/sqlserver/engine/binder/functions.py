"""Function calls: aggregates, window functions, and the dispatch to scalar functions."""

from __future__ import annotations

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, f2
from dstream_sandbox.sqlserver.engine.binder.expressions import ExpressionBinder
from dstream_sandbox.sqlserver.engine.binder.operators import _divide_integers, _fitter, text_collation
from dstream_sandbox.sqlserver.engine.errors import argument_count, unknown_function, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.number_conversions import LIMITS, category
from dstream_sandbox.sqlserver.engine.types.storage import is_big, scale_of
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType

_AGGREGATES_TEXT = """
    count count_big sum avg min max stdev stdevp var varp string_agg checksum_agg approx_count_distinct grouping
"""
AGGREGATES = frozenset(_AGGREGATES_TEXT.split())
_RANKING = {"row_number": names.BIGINT, "rank": names.BIGINT, "dense_rank": names.BIGINT, "ntile": names.BIGINT}
_OFFSETS = frozenset({"lag", "lead", "first_value", "last_value"})
_DISTRIBUTION = frozenset({"percent_rank", "cume_dist"})
BIG = SqlType("decimal", None, 38, 0)


class FunctionBinder(ExpressionBinder):
    """Compiles function calls."""

    def call(self, node: nodes.Call) -> Ex:
        name = node.name[-1]
        if len(node.name) == 1 and name in AGGREGATES:
            return self._aggregate(node, name)
        if node.over is not None:
            return self._window(node, name)
        if node.star:
            raise SqlError(102, "Incorrect syntax near '*'.", severity=15)
        from dstream_sandbox.sqlserver.engine.binder.scalar_functions import scalar_function

        found = scalar_function(self, node)
        if found is None:
            shown = ".".join(node.name)
            if len(node.name) > 1:
                raise SqlError(
                    4121,
                    f'Cannot find either column "{node.name[0]}" or the user-defined function or '
                    f'aggregate "{shown}", or the name is ambiguous.',
                )
            raise unknown_function(name)
        return found

    def special(self, node: nodes.Node) -> Ex:
        from dstream_sandbox.sqlserver.engine.binder.special_forms import special_form

        return special_form(self, node)

    # Aggregates

    def _aggregate(self, node: nodes.Call, name: str) -> Ex:
        over = self._over(node.over) if node.over is not None else ""
        was, self.scope.in_aggregate = self.scope.in_aggregate, node.over is None or self.scope.in_aggregate
        try:
            return self._aggregate_of(node, name, over)
        finally:
            self.scope.in_aggregate = was

    def _aggregate_of(self, node: nodes.Call, name: str, over: str) -> Ex:
        if name in ("count", "count_big"):
            type_ = names.INT if name == "count" else names.BIGINT
            inner = "*" if node.star else self._distinct(node, self.value(node.args[0]))
            return Ex(f"COUNT({inner}){over}", type_, nullable=False)
        if name == "string_agg":
            return self._string_agg(node, over)
        if len(node.args) != 1:
            raise argument_count(name, "1")
        operand = self.value(node.args[0])
        type_ = operand.type or names.INT
        inner = self._distinct(node, operand)
        if name in ("min", "max"):
            if type_.name in ("bit", "text", "ntext", "image", "xml", "geometry", "geography"):
                raise SqlError(8117, f"Operand data type {type_.name} is invalid for {name} operator.")
            return Ex(f"{name.upper()}({inner}){over}", type_, True, operand.collation)
        if name in ("stdev", "stdevp", "var", "varp"):
            as_float = cast_sql(operand, names.FLOAT)
            return Ex(f"moments({as_float},'{name}'){over}", names.FLOAT)
        if name == "sum":
            return self._sum(inner, type_, over)
        if name == "avg":
            return self._average(inner, type_, over)
        raise unsupported(f"the aggregate {name.upper()}")

    def _distinct(self, node: nodes.Call, ex: Ex) -> str:
        sql = ex.sql
        if ex.type is not None and category(ex.type) == "str":
            sql = f"{sql} COLLATE {text_collation(ex)}"
        return f"DISTINCT {sql}" if node.distinct else sql

    def _sum(self, inner: str, type_: SqlType, over: str) -> Ex:
        if type_.name in names.INTEGERS:
            result = names.BIGINT if type_.name == "bigint" else names.INT
            low, high = LIMITS[result.name]
            sql = f1(("fit", result.name), lambda: _fitter(low, high, result.name), f"SUM({inner}){over}")
            return Ex(sql, result)
        if type_.name in names.DECIMALS:
            return Ex(f"sum_exact({inner}){over}", SqlType(type_.name, None, 38, scale_of(type_)))
        if type_.name in names.MONIES:
            return Ex(f"SUM({inner}){over}", names.MONEY)
        if type_.name in names.APPROXIMATE:
            return Ex(f"SUM({inner}){over}", names.FLOAT)
        raise SqlError(8117, f"Operand data type {type_.name} is invalid for sum operator.")

    def _average(self, inner: str, type_: SqlType, over: str) -> Ex:
        if type_.name in names.INTEGERS or type_.name in names.MONIES:
            result = (
                names.MONEY if type_.name in names.MONIES else names.BIGINT if type_.name == "bigint" else names.INT
            )
            sql = f2(
                ("idiv", result.name),
                lambda: _divide_integers,
                f"SUM({inner}){over}",
                f"NULLIF(COUNT({inner}){over},0)",
            )
            return Ex(sql, result)
        if type_.name in names.DECIMALS:
            scale = max(scale_of(type_), 6)
            return Ex(f"avg_exact({inner},{scale - scale_of(type_)}){over}", SqlType(type_.name, None, 38, scale))
        if type_.name in names.APPROXIMATE:
            return Ex(f"AVG({inner}){over}", names.FLOAT)
        raise SqlError(8117, f"Operand data type {type_.name} is invalid for avg operator.")

    def _string_agg(self, node: nodes.Call, over: str) -> Ex:
        if over:
            raise unsupported("STRING_AGG with OVER")
        if len(node.args) != 2:
            raise argument_count("string_agg", "2")
        value, separator = self.value(node.args[0]), self.value(node.args[1])
        if value.type is not None and category(value.type) != "str":
            value = Ex(
                cast_sql(value, names.NVARCHAR_MAX), SqlType("nvarchar", 4000, collation=names.DEFAULT_COLLATION)
            )
        keys: list[str] = []
        for order in node.within:
            key = self.value(order.expression)
            if is_big(key.type) if key.type else False:
                raise unsupported("WITHIN GROUP ordered by a long decimal")
            keys += [key.sql, "1" if order.descending else "0"]
        name = "nvarchar" if value.type is None or value.type.name in names.UNICODE else "varchar"
        type_ = names.NVARCHAR_MAX if name == "nvarchar" else names.VARCHAR_MAX
        if value.type is not None and value.type.length != -1:
            type_ = SqlType(name, 4000 if name == "nvarchar" else 8000, collation=names.DEFAULT_COLLATION)
        return Ex(f"joined({','.join((value.sql, separator.sql, *keys))})", type_)

    # Window functions

    def _over(self, window: nodes.Window) -> str:
        parts: list[str] = []
        if window.partition_by:
            parts.append("PARTITION BY " + ", ".join(self._key(p) for p in window.partition_by))
        if window.order_by:
            terms = [self._key(o.expression) + (" DESC" if o.descending else "") for o in window.order_by]
            parts.append("ORDER BY " + ", ".join(terms))
        if window.frame:
            parts.append(window.frame)
        return f" OVER ({' '.join(parts)})"

    def _key(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Subquery):  # ORDER BY (SELECT NULL): any order
            return "NULL"
        ex = self.value(node)
        if ex.type is not None and category(ex.type) == "str":
            return f"{ex.sql} COLLATE {text_collation(ex)}"
        return ex.sql

    def _window(self, node: nodes.Call, name: str) -> Ex:
        assert node.over is not None
        over = self._over(node.over)
        if name in _RANKING:
            if not node.over.order_by:
                raise SqlError(
                    4112, f"The function '{name.upper()}' must have an OVER clause with ORDER BY.", severity=15
                )
            args = ",".join(self.value(a).sql for a in node.args)
            return Ex(f"{name.upper()}({args}){over}", _RANKING[name], nullable=False)
        if name in _DISTRIBUTION:
            return Ex(f"{name.upper()}(){over}", names.FLOAT)
        if name in _OFFSETS:
            args_ = [self.value(a) for a in node.args]
            type_ = args_[0].type
            parts = [args_[0].sql, *(a.sql for a in args_[1:2]), *(self.to(a, type_) for a in args_[2:])]
            return Ex(f"{name.upper()}({','.join(parts)}){over}", type_)
        raise unsupported(f"{name.upper()} with OVER")
