"""Compiles queries: select lists, grouping, set operations, common table expressions, ordering and paging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, f1, fn
from dstream_sandbox.sqlserver.engine.binder.functions import AGGREGATES
from dstream_sandbox.sqlserver.engine.binder.masking import masked
from dstream_sandbox.sqlserver.engine.binder.operators import text_collation
from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
from dstream_sandbox.sqlserver.engine.binder.sources import SourceBinder
from dstream_sandbox.sqlserver.engine.errors import unbound_identifier, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.number_conversions import category
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import SqlType


@dataclass(frozen=True, slots=True)
class BoundQuery:
    """`sql` returns columns k0, k1, ... in the order of `columns`."""

    sql: str
    columns: tuple[Ex, ...]
    single_row: bool = False


class QueryBinder(SourceBinder):
    """Compiles SELECT and everything inside it."""

    def bind_query(self, query: nodes.Query) -> BoundQuery:
        """Compile the query in a new scope inside the current one."""
        outer = self.scope
        frame: dict[str, BoundSource] = {}
        self.ctes.append(frame)
        try:
            prefix = [self._cte_sql(cte, frame, query.max_recursion) for cte in query.ctes]
            bound = self._body(query, outer)
        finally:
            self.ctes.pop()
            self.scope = outer
        if not prefix:
            return bound
        return replace(bound, sql=f"WITH RECURSIVE {', '.join(prefix)} {bound.sql}")

    def _body(self, query: nodes.Query, outer: Scope) -> BoundQuery:
        body = query.body
        if isinstance(body, nodes.Select):
            self.scope = Scope(parent=outer)
            return self._select(body, query)
        if isinstance(body, nodes.Query):
            inner = self.bind_query(body)
            if not query.order_by:
                return inner
            keys = ", ".join(f"k{i}" for i in range(len(inner.columns)))
            bound = BoundQuery(f"SELECT {keys} FROM ({inner.sql})", inner.columns)
        else:
            bound = self._set_operation(body, outer)
        if query.order_by:
            bound = replace(bound, sql=f"{bound.sql} ORDER BY {self._order_by_position(query.order_by, bound.columns)}")
        limit = self._offset_fetch(query)
        return replace(bound, sql=bound.sql + limit) if limit else bound

    # SELECT

    def _select(self, select: nodes.Select, query: nodes.Query) -> BoundQuery:
        from_sql = f" FROM {self.source(select.source)}" if select.source is not None else ""
        where = f" WHERE {self.predicate(select.where)}" if select.where is not None else ""
        groups = [self.value(g) for g in select.group_by]
        grouped = bool(groups) or select.having is not None or self._aggregates_in(select, query)
        if grouped:
            self.scope.group_shapes = {repr(g).lower() for g in select.group_by} | {g.sql for g in groups}
        items = self._items(select.items)
        having = f" HAVING {self.predicate(select.having)}" if select.having is not None else ""
        order = self._order_by(query.order_by, select, items)
        group = f" GROUP BY {', '.join(self._keyed(g) for g in groups)}" if groups else ""
        if having and not groups:
            group = " GROUP BY NULL"
        self.scope.group_shapes = None
        limit = self._offset_fetch(query) or self._top(select.top)
        distinct = "DISTINCT " if select.distinct else ""
        single = grouped and not groups and not having
        columns = ", ".join(f"{self._keyed(item) if distinct else item.sql} AS k{i}" for i, item in enumerate(items))
        core = f"SELECT {distinct}{columns}{from_sql}{where}{group}{having}"
        if select.top is not None and (select.top.percent or select.top.with_ties):
            return BoundQuery(self._special_top(select.top, core, order, len(items)), tuple(items))
        single = single or (select.top is not None and limit == " LIMIT 1")
        return BoundQuery(core + (f" ORDER BY {order}" if order else "") + limit, tuple(items), single or not from_sql)

    def _aggregates_in(self, select: nodes.Select, query: nodes.Query) -> bool:
        found = any(has_aggregate(item.expression) for item in select.items)
        return found or any(has_aggregate(order.expression) for order in query.order_by)

    def _keyed(self, ex: Ex) -> str:
        """Group and compare text by its collation, which an expression does not carry by itself."""
        if ex.type is not None and category(ex.type) == "str":
            return f"{ex.sql} COLLATE {text_collation(ex)}"
        return ex.sql

    def _items(self, items: tuple[nodes.SelectItem, ...]) -> list[Ex]:
        bound: list[Ex] = []
        for item in items:
            if isinstance(item.expression, nodes.Star):
                bound.extend(self.star(item.expression.qualifier))
                continue
            self.read_masked = False
            ex = self.value(item.expression)
            if self.read_masked:
                ex = masked(self, ex)
            bound.append(replace(ex, name=item.alias if item.alias is not None else ex.name))
        return bound

    def star(self, qualifier: tuple[str, ...]) -> list[Ex]:
        """Return the columns that `*` or `t.*` stands for."""
        sources = [s for s in self.scope.sources if not qualifier or s.matches(qualifier)]
        if not sources:
            if qualifier:
                raise SqlError(
                    107,
                    f"The column prefix '{'.'.join(qualifier)}' does not match with a table name or alias "
                    "name used in the query.",
                )
            raise SqlError(263, "Must specify table to select from.")
        columns = [
            replace(masked(self, ex) if ex.masked else ex, name=name)
            for source in sources
            for name, ex in source.columns
        ]
        shapes = self.scope.group_shapes
        for ex in columns if shapes is not None else ():
            if shapes is not None and ex.sql not in shapes:
                raise SqlError(
                    8120,
                    f"Column '{ex.name}' is invalid in the select list because it is not contained in "
                    "either an aggregate function or the GROUP BY clause.",
                )
        return columns

    def _order_by(self, orders: tuple[nodes.Order, ...], select: nodes.Select, items: list[Ex]) -> str:
        parts: list[str] = []
        for order in orders:
            position = self._position(order.expression, select, items)
            if position is not None:
                ex = items[position]
                sql = str(position + 1) if select.distinct else self._keyed(ex)
            elif select.distinct:
                raise SqlError(
                    145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.", severity=15
                )
            else:
                sql = self._keyed(self.value(order.expression))
            parts.append(sql + (" DESC" if order.descending else ""))
        return ", ".join(parts)

    def _position(self, node: nodes.Node, select: nodes.Select, items: list[Ex]) -> int | None:
        """Return the position of the select item for an ORDER BY term: by number, alias or the same expression."""
        if isinstance(node, nodes.Literal) and node.kind == "int":
            number = int(node.text)
            if not 1 <= number <= len(items):
                raise SqlError(
                    108,
                    f"The ORDER BY position number {number} is out of range of the number of items in the select list.",
                )
            return number - 1
        has_star = any(isinstance(i.expression, nodes.Star) for i in select.items)
        if isinstance(node, nodes.Name) and len(node.parts) == 1:
            name = node.parts[0].lower()
            for i, item in enumerate(items):
                if item.name.lower() == name:
                    return i
        if has_star:
            return None
        shape = repr(node).lower()
        return next((i for i, item in enumerate(select.items) if repr(item.expression).lower() == shape), None)

    def _order_by_position(self, orders: tuple[nodes.Order, ...], columns: tuple[Ex, ...]) -> str:
        parts: list[str] = []
        for order in orders:
            node = order.expression
            position: int | None = None
            if isinstance(node, nodes.Literal) and node.kind == "int":
                position = int(node.text) - 1
            elif isinstance(node, nodes.Name):
                name = node.parts[-1].lower()
                position = next((i for i, c in enumerate(columns) if c.name.lower() == name), None)
                if position is None:
                    raise unbound_identifier(".".join(node.parts))
            if position is None:
                raise SqlError(
                    104,
                    "ORDER BY items must appear in the select list if the statement contains a UNION, "
                    "INTERSECT or EXCEPT operator.",
                    severity=15,
                )
            parts.append(str(position + 1) + (" DESC" if order.descending else ""))
        return ", ".join(parts)

    # Paging

    def _count(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Literal) and node.kind == "int":
            return node.text
        ex = self.infer(self.value(node), names.BIGINT)
        return f1("row_count", lambda: _row_count, cast_sql(ex, names.BIGINT))

    def _top(self, top: nodes.Top | None) -> str:
        if top is None or top.percent or top.with_ties:
            return ""
        return f" LIMIT {self._count(top.count)}"

    def top_limit(self, top: nodes.Top | None) -> str:
        """Return the LIMIT for TOP in INSERT, UPDATE and DELETE."""
        if top is not None and top.percent:
            raise unsupported("TOP ... PERCENT in INSERT, UPDATE and DELETE")
        return self._top(top)

    def _special_top(self, top: nodes.Top, core: str, order: str, width: int) -> str:
        keys = ", ".join(f"k{i}" for i in range(width))
        if top.with_ties:
            if not order:
                raise SqlError(
                    1062, "The TOP N WITH TIES clause is not allowed without a corresponding ORDER BY clause."
                )
            ranked = core.replace("SELECT ", f"SELECT RANK() OVER (ORDER BY {order}) AS kr, ", 1)
            return f"SELECT {keys} FROM ({ranked}) WHERE kr<={self._count(top.count)} ORDER BY kr"
        percent = cast_sql(self.value(top.count), names.FLOAT)
        share = fn("percent", lambda: lambda n, p: -int(-n * p // 100), f"(SELECT COUNT(*) FROM ({core}))", percent)
        return f"{core}{f' ORDER BY {order}' if order else ''} LIMIT {share}"

    def _offset_fetch(self, query: nodes.Query) -> str:
        if query.offset is None:
            return ""
        fetch = self._count(query.fetch) if query.fetch is not None else "-1"
        return f" LIMIT {fetch} OFFSET {self._count(query.offset)}"

    # UNION and WITH

    def _side(self, body: nodes.Body, outer: Scope) -> BoundQuery:
        self.scope = outer
        query = body if isinstance(body, nodes.Query) else nodes.Query(body)
        return self.bind_query(query)

    def _set_operation(self, operation: nodes.SetOperation, outer: Scope) -> BoundQuery:
        sides = [self._side(body, outer) for body in _operands(operation)]
        if len({len(side.columns) for side in sides}) > 1:
            raise SqlError(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal "
                "number of expressions in their target lists.",
            )
        columns = sides[0].columns
        for side in sides[1:]:
            columns = tuple(self._merged(a, b) for a, b in zip(columns, side.columns, strict=True))
        collated = operation.operator != "UNION ALL"
        typed = [self._typed(side, columns, collated) for side in sides]
        return BoundQuery(f" {operation.operator} ".join(typed), columns)

    def _merged(self, left: Ex, right: Ex) -> Ex:
        return Ex("", self.common([left, right]), left.nullable or right.nullable, left.collation, name=left.name)

    def _typed(self, bound: BoundQuery, columns: tuple[Ex, ...], collated: bool) -> str:
        parts: list[str] = []
        for i, (have, want) in enumerate(zip(bound.columns, columns, strict=True)):
            sql = self.to(Ex(f"k{i}", have.type), want.type)
            if collated and want.type is not None and category(want.type) == "str":
                sql += f" COLLATE {text_collation(want)}"
            parts.append(f"{sql} AS k{i}")
        return f"SELECT {', '.join(parts)} FROM ({bound.sql})"

    def _cte_sql(self, cte: nodes.Cte, frame: dict[str, BoundSource], max_recursion: int) -> str:
        name = self.next_alias().replace("a", "w")
        body = cte.query.body
        if (
            isinstance(body, nodes.SetOperation)
            and body.operator == "UNION ALL"
            and _mentions(body.right, cte.name.lower())
        ):
            return self._recursive(cte, body, name, frame, max_recursion)
        outer = self.scope
        self.scope = Scope(parent=None)
        bound = self.bind_query(cte.query)
        self.scope = outer
        frame[cte.name.lower()] = BoundSource((cte.name.lower(),), self._cte_columns(cte, bound), name)
        keys = ", ".join(f"k{i}" for i in range(len(bound.columns)))
        return f"{name}({keys}) AS ({bound.sql})"

    def _cte_columns(self, cte: nodes.Cte, bound: BoundQuery) -> tuple[tuple[str, Ex], ...]:
        shown = cte.columns or tuple(c.name for c in bound.columns)
        if len(shown) != len(bound.columns):
            raise SqlError(8158, f"'{cte.name}' has more columns than were specified in the column list.")
        return tuple((n, c) for n, c in zip(shown, bound.columns, strict=True))

    def _recursive(
        self, cte: nodes.Cte, body: nodes.SetOperation, name: str, frame: dict[str, BoundSource], limit: int
    ) -> str:
        """Compile a recursive CTE. The anchor determines the types; a hidden column counts the depth for error 530."""
        outer = self.scope
        self.scope = Scope(parent=None)
        anchor = self._side(body.left, self.scope)
        columns = self._cte_columns(cte, anchor)
        depth = Ex(f"{name}.kd", names.INT)
        frame[cte.name.lower()] = BoundSource((cte.name.lower(),), (*columns, ("", depth)), name)
        step = self._recursive_step(body.right, columns, limit)
        frame[cte.name.lower()] = BoundSource((cte.name.lower(),), columns, name)
        self.scope = outer
        count = len(columns)
        keys = ", ".join(f"k{i}" for i in range(count))
        return f"{name}({keys}, k{count}) AS (SELECT {keys}, 0 FROM ({anchor.sql}) UNION ALL {step})"

    def _recursive_step(self, body: nodes.Body, columns: tuple[tuple[str, Ex], ...], limit: int) -> str:
        """Compile the recursive member. SQLite requires the reference to the CTE in the FROM of this SELECT."""
        if not isinstance(body, nodes.Select) or body.group_by or body.distinct or body.top is not None:
            raise unsupported("this kind of recursive member in a common table expression")
        self.scope = Scope(parent=self.scope)
        from_sql = f" FROM {self.source(body.source)}" if body.source is not None else ""
        own = next(s for s in self.scope.sources if s.columns and s.columns[-1][0] == "")
        self.scope.sources = [
            BoundSource(s.qualifiers, s.columns[:-1], s.alias) if s is own else s for s in self.scope.sources
        ]
        where = f" WHERE {self.predicate(body.where)}" if body.where is not None else ""
        items = self._items(body.items)
        if len(items) != len(columns):
            raise SqlError(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal "
                "number of expressions in their target lists.",
            )
        depth = f"({own.alias}.k{len(own.columns) - 1}+1)"
        if limit:
            depth = f1(("depth", limit), lambda: _depth_check(limit), depth)
        typed = [self.to(item, column.type) for item, (_, column) in zip(items, columns, strict=True)]
        return f"SELECT {', '.join((*typed, depth))}{from_sql}{where}"


def _operands(operation: nodes.SetOperation) -> list[nodes.Body]:
    """Flatten a chain of UNION ALL: parsed as a nested tree, a long one would overflow SQLite's parser."""
    if operation.operator != "UNION ALL":
        return [operation.left, operation.right]
    right_to_left: list[nodes.Body] = []
    body: nodes.Body = operation
    while isinstance(body, nodes.SetOperation) and body.operator == "UNION ALL":
        right_to_left.append(body.right)
        body = body.left
    return [body, *reversed(right_to_left)]


def _depth_check(limit: int) -> Callable[[int], int]:
    def check(depth: int) -> int:
        if depth > limit:
            text = (
                f"The statement terminated. The maximum recursion {limit} has been exhausted before statement "
                f"completion."
            )
            raise SqlError(530, text)
        return depth

    return check


def _row_count(value: int) -> int:
    if value < 0:
        raise SqlError(1014, "A TOP or FETCH clause contains an invalid value.", severity=15)
    return value


def has_aggregate(node: object) -> bool:
    """Whether the expression contains an aggregate outside subqueries."""
    if isinstance(node, (nodes.Query, str, SqlType)) or node is None:
        return False
    if isinstance(node, nodes.Call) and node.over is None and node.name[-1] in AGGREGATES:
        return True
    if isinstance(node, tuple):
        return any(has_aggregate(item) for item in node)
    slots = getattr(type(node), "__dataclass_fields__", None)
    if slots is None:
        return False
    return any(has_aggregate(getattr(node, name)) for name in slots)


def _mentions(node: object, table: str) -> bool:
    if isinstance(node, nodes.TableSource):
        return len(node.name) == 1 and node.name[0].lower() == table
    if isinstance(node, tuple):
        return any(_mentions(item, table) for item in node)
    slots = getattr(type(node), "__dataclass_fields__", None)
    if slots is None:
        return False
    return any(_mentions(getattr(node, name), table) for name in slots)
