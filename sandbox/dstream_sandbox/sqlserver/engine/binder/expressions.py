"""Compiles T-SQL expressions and predicates to SQLite's, with resolved types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql, implicit, try_cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex, Gathered, f1, fn, quote
from dstream_sandbox.sqlserver.engine.binder.operators import arithmetic, comparison, text_collation
from dstream_sandbox.sqlserver.engine.binder.scope import Scope
from dstream_sandbox.sqlserver.engine.errors import not_boolean, not_grouped, undeclared_variable, unsupported
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.like import like_matcher
from dstream_sandbox.sqlserver.engine.types.number_conversions import category
from dstream_sandbox.sqlserver.engine.types.precedence import common_type
from dstream_sandbox.sqlserver.engine.types.storage import is_big, pack_big, unpack_big
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.binder.environment import Environment
    from dstream_sandbox.sqlserver.engine.binder.queries import BoundQuery

_PREDICATES = (
    nodes.Compare,
    nodes.Logical,
    nodes.Not,
    nodes.IsNull,
    nodes.Between,
    nodes.InList,
    nodes.InQuery,
    nodes.Like,
    nodes.Exists,
    nodes.Quantified,
)


class ExpressionBinder:
    """Compiles one statement. `scope` is the innermost scope; the query binder subclass changes it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.gathered = Gathered()
        self.scope = Scope()
        self.read_masked = False
        """Whether a masked column has been compiled since this was last reset."""

    def bind_query(self, query: nodes.Query) -> BoundQuery:
        raise NotImplementedError

    # Values

    def value(self, node: nodes.Node) -> Ex:
        """Compile a scalar. Raises errors such as 156 if a predicate is used as a value."""
        if self.scope.group_shapes is not None and not self.scope.in_aggregate and not isinstance(node, nodes.Name):
            grouped = self._grouped(node)
            if grouped is not None:
                return grouped
        match node:
            case nodes.Literal():
                return literal(node)
            case nodes.Name():
                return self._column(node)
            case nodes.Variable():
                return self.variable(node.name)
            case nodes.Binary():
                return self._binary(node)
            case nodes.Unary():
                return self._unary(node)
            case nodes.Call():
                return self.call(node)
            case nodes.Cast():
                return self._cast(node)
            case nodes.Case():
                return self._case(node)
            case nodes.Subquery():
                return self._scalar_subquery(node.query)
            case nodes.Collate():
                operand = self.value(node.operand)
                return Ex(operand.sql, operand.type, operand.nullable, node.collation)
            case nodes.AtTimeZone() | nodes.Method() | nodes.StaticMethod():
                return self.special(node)
            case nodes.Star():
                raise SqlError(102, "Incorrect syntax near '*'.", severity=15)
            case nodes.Default():
                raise SqlError(156, "Incorrect syntax near the keyword 'DEFAULT'.", severity=15)
        if isinstance(node, _PREDICATES):
            raise SqlError(
                102,
                "Incorrect syntax near '='." if isinstance(node, nodes.Compare) else "Incorrect syntax.",
                severity=15,
            )
        raise unsupported(type(node).__name__)

    def call(self, node: nodes.Call) -> Ex:
        raise NotImplementedError

    def special(self, node: nodes.Node) -> Ex:
        raise NotImplementedError

    def _grouped(self, node: nodes.Node) -> Ex | None:
        """Compile an expression that is itself a GROUP BY expression, without checking its columns; None for others."""
        shapes = self.scope.group_shapes
        if not shapes or repr(node).lower() not in shapes:
            return None
        self.scope.group_shapes = None
        try:
            return self.value(node)
        finally:
            self.scope.group_shapes = shapes

    def _column(self, node: nodes.Name) -> Ex:
        try:
            ex, own = self.scope.resolve(node.parts)
        except SqlError as error:
            # `g.STSrid` looks like a qualified column. It is a property if g is a column of a CLR type.
            if len(node.parts) > 1 and error.number in (207, 4104) and self._is_clr(node.parts[:-1]):
                return self.special(nodes.Method(nodes.Name(node.parts[:-1]), node.parts[-1], None))
            raise
        shapes = self.scope.group_shapes
        if shapes is not None and own and not self.scope.in_aggregate and ex.sql not in shapes:
            raise not_grouped(".".join(node.parts))
        self.read_masked |= ex.masked
        return ex

    def _is_clr(self, parts: tuple[str, ...]) -> bool:
        try:
            ex, _ = self.scope.resolve(parts)
        except SqlError:
            return False
        return ex.type is not None and ex.type.name in names.CLR

    def variable(self, name: str) -> Ex:
        if name.startswith("@@"):
            return self.session_value(name)
        type_ = self.environment.variable_type(name)
        if type_ is None:
            if not self.environment.undeclared_allowed:
                raise undeclared_variable(name)
            return Ex("NULL", None, unknown=name)
        parameter = self.gathered.variables.setdefault(name, f"p{len(self.gathered.variables)}")
        return Ex(f":{parameter}", type_)

    def session_value(self, name: str, type_: SqlType | None = None) -> Ex:
        """Return a session value that is bound when the statement starts, such as @@ROWCOUNT or the current time."""
        from dstream_sandbox.sqlserver.engine.binder.session_values import SESSION_VALUES

        found = type_ or SESSION_VALUES.get(name)
        if found is None:
            raise undeclared_variable(name)
        parameter = self.gathered.session_values.setdefault(name, f"s{len(self.gathered.session_values)}")
        return Ex(f":{parameter}", found, nullable=name not in ("@@trancount", "@@rowcount", "@@error", "@@spid"))

    def infer(self, ex: Ex, type_: SqlType | None) -> Ex:
        """Give an undeclared parameter the type that its context suggests."""
        if ex.unknown and type_ is not None:
            self.gathered.suggestions.setdefault(ex.unknown, type_)
            return Ex("NULL", type_)
        return ex

    def _binary(self, node: nodes.Binary) -> Ex:
        left, right = self.value(node.left), self.value(node.right)
        left, right = self.infer(left, right.type), self.infer(right, left.type)
        return arithmetic(node.operator, left, right)

    def _unary(self, node: nodes.Unary) -> Ex:
        if isinstance(node.operand, nodes.Literal) and node.operator == "-":
            return _negative_literal(node.operand)
        operand = self.value(node.operand)
        if node.operator == "+" or operand.type is None:
            return operand
        if node.operator == "~":
            if operand.type.name == "bit":
                return Ex(f"(1-{operand.sql})", operand.type, operand.nullable)
            if operand.type.name == "tinyint":
                return Ex(f"(255-{operand.sql})", operand.type, operand.nullable)
            return Ex(f"(~{operand.sql})", operand.type, operand.nullable)
        if is_big(operand.type):
            return Ex(
                f1("negate", lambda: lambda v: pack_big(-unpack_big(v)), operand.sql), operand.type, operand.nullable
            )
        if operand.type.name in names.DECIMALS | names.MONIES | names.APPROXIMATE:
            return Ex(f"(-{operand.sql})", operand.type, operand.nullable)
        return arithmetic("-", literal(nodes.Literal("int", "0")), operand)

    def _cast(self, node: nodes.Cast) -> Ex:
        operand = self.infer(self.value(node.operand), node.type)
        style = 0
        if node.style is not None:
            style = self._style(node.style)
        if node.parses:
            raise unsupported("PARSE")
        change = try_cast_sql if node.is_try else cast_sql
        nullable = operand.nullable or node.is_try
        return Ex(change(operand, node.type, style), node.type, nullable, operand.collation)

    def _style(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.Literal) and node.kind == "int":
            return int(node.text)
        raise unsupported("a non-numeric CONVERT style")

    def _case(self, node: nodes.Case) -> Ex:
        results = [self.value(result) for _, result in node.branches]
        otherwise = self.value(node.otherwise) if node.otherwise is not None else Ex("NULL", None)
        type_ = self.common([*results, otherwise])
        parts = []
        for (condition, _), result in zip(node.branches, results, strict=True):
            if node.subject is None:
                test = self.predicate(condition)
            else:
                test = self._compare("=", self.value(node.subject), self.value(condition))
            parts.append(f"WHEN {test} THEN {self.to(result, type_)}")
        nullable = otherwise.nullable or any(r.nullable for r in results)
        return Ex(f"CASE {' '.join(parts)} ELSE {self.to(otherwise, type_)} END", type_, nullable)

    def common(self, items: list[Ex]) -> SqlType | None:
        """Return the common type of alternatives, such as the branches of CASE."""
        type_: SqlType | None = None
        for item in items:
            if item.type is not None:
                type_ = item.type if type_ is None else common_type(type_, item.type)
        for item in items:
            self.infer(item, type_)
        return type_

    def to(self, ex: Ex, type_: SqlType | None) -> str:
        if type_ is None or ex.type is None:
            return ex.sql
        implicit(ex.type, type_)
        return cast_sql(ex, type_)

    def _scalar_subquery(self, query: nodes.Query) -> Ex:
        bound = self.bind_query(query)
        if len(bound.columns) != 1:
            raise SqlError(
                116,
                "Only one expression can be specified in the select list when the subquery is not "
                "introduced with EXISTS.",
            )
        column = bound.columns[0]
        if bound.single_row:
            return Ex(f"({bound.sql})", column.type, True, column.collation)
        return Ex(f"(SELECT single(k0) FROM ({bound.sql}))", column.type, True, column.collation)

    # Predicates

    def predicate(self, node: nodes.Node) -> str:
        """Compile a condition to SQL. Raises 4145 if a value is used as a condition."""
        match node:
            case nodes.Logical():
                return f"({self.predicate(node.left)} {node.operator} {self.predicate(node.right)})"
            case nodes.Not():
                return f"(NOT {self.predicate(node.operand)})"
            case nodes.Compare():
                return self._compare(node.operator, self.value(node.left), self.value(node.right))
            case nodes.IsNull():
                operand = self.value(node.operand)
                return f"({operand.sql} IS {'NOT ' if node.negated else ''}NULL)"
            case nodes.Between():
                operand = self.value(node.operand)
                low = self._compare(">=", operand, self.value(node.low))
                high = self._compare("<=", operand, self.value(node.high))
                return f"({'NOT ' if node.negated else ''}({low} AND {high}))"
            case nodes.InList():
                return self._in_list(node)
            case nodes.InQuery():
                return self._in_query(node)
            case nodes.Like():
                return self._like(node)
            case nodes.Exists():
                return f"EXISTS ({self.bind_query(node.query).sql})"
            case nodes.Quantified():
                return self._quantified(node)
        raise not_boolean(getattr(node, "text", "") or ".".join(getattr(node, "parts", ("",))))

    def _compare(self, operator: str, left: Ex, right: Ex) -> str:
        left, right = self.infer(left, right.type), self.infer(right, left.type)
        if left.type is not None and left.type.name in names.CHARACTER:
            self.gathered.compares_text = True
        return comparison(operator, left, right)

    def _in_list(self, node: nodes.InList) -> str:
        operand = self.value(node.operand)
        items = [self.infer(self.value(item), operand.type) for item in node.items]
        type_ = self.common([operand, *items])
        if type_ is not None and type_.name not in ("datetimeoffset", "sql_variant") and category(type_) != "str":
            inside = ",".join(self.to(item, type_) for item in items)
            return f"({self.to(operand, type_)} {'NOT ' if node.negated else ''}IN ({inside}))"
        tests = " OR ".join(self._compare("=", operand, item) for item in items)
        return f"({'NOT ' if node.negated else ''}({tests}))"

    def _in_query(self, node: nodes.InQuery) -> str:
        operand = self.value(node.operand)
        bound = self.bind_query(node.query)
        if len(bound.columns) != 1:
            raise SqlError(
                116,
                "Only one expression can be specified in the select list when the subquery is not "
                "introduced with EXISTS.",
            )
        column = Ex("k0", bound.columns[0].type, collation=bound.columns[0].collation)
        type_ = self.common([operand, column])
        collate = ""
        if type_ is not None and category(type_) == "str":
            collate = f" COLLATE {text_collation(operand, column)}"
        inner = self.to(column, type_)
        query = bound.sql if inner == "k0" else f"SELECT {inner} FROM ({bound.sql})"
        return f"({self.to(operand, type_)}{collate} {'NOT ' if node.negated else ''}IN ({query}))"

    def _quantified(self, node: nodes.Quantified) -> str:
        """`x > ALL (q)`: false or unknown for no row. `x > ANY (q)`: true for some row."""
        operand = self.value(node.operand)
        bound = self.bind_query(node.query)
        column = bound.columns[0]
        test = self._compare(node.operator, operand, Ex("q.k0", column.type, collation=column.collation))
        if node.every:
            return f"(NOT EXISTS (SELECT 1 FROM ({bound.sql}) AS q WHERE ({test}) IS NOT TRUE))"
        return f"EXISTS (SELECT 1 FROM ({bound.sql}) AS q WHERE {test})"

    def _like(self, node: nodes.Like) -> str:
        operand, pattern = self.value(node.operand), self.value(node.pattern)
        text = SqlType("nvarchar", MAX, collation=names.DEFAULT_COLLATION)
        operand, pattern = self.infer(operand, text), self.infer(pattern, operand.type or text)
        collation = text_collation(operand, pattern)
        left = operand.sql if operand.type is None or category(operand.type) == "str" else cast_sql(operand, text)
        right = pattern.sql if pattern.type is None or category(pattern.type) == "str" else cast_sql(pattern, text)
        fixed = operand.type is not None and operand.type.name in ("char", "varchar", "text")
        escape = self.value(node.escape).sql if node.escape is not None else "NULL"
        sql = fn(("like", collation, fixed), lambda: like_matcher(collation), left, right, escape)
        return f"(NOT {sql})" if node.negated else sql


def literal(node: nodes.Literal) -> Ex:
    """Compile a constant with SQL Server's type for it (Microsoft Learn, "Constants (Transact-SQL)")."""
    text = node.text
    if node.kind == "null":
        return Ex("NULL", None)
    if node.kind == "int":
        return _integer(int(text))
    if node.kind == "dec":
        return _decimal(text, negative=False)
    if node.kind == "float":
        return Ex(repr(float(text)), names.FLOAT, nullable=False)
    if node.kind == "money":
        whole, _, fraction = text[1:].partition(".")
        return Ex(str(int((whole or "0") + fraction[:4].ljust(4, "0"))), names.MONEY, nullable=False)
    if node.kind == "bin":
        digits = text[2:]
        digits = digits if len(digits) % 2 == 0 else "0" + digits
        return Ex(f"X'{digits}'", names.of_value("varbinary", max(len(digits) // 2, 1)), nullable=False)
    name = "nvarchar" if node.kind == "nstr" else "varchar"
    units = names.text_units(text)  # nvarchar(n) counts byte pairs, not characters
    return Ex(quote(text), names.of_value(name, max(units, 1)), nullable=False, literal=text)


def _integer(value: int) -> Ex:
    if -(2**31) <= value <= 2**31 - 1:
        return Ex(str(value), names.INT, nullable=False)
    return _decimal(str(abs(value)), negative=value < 0)


def _decimal(text: str, *, negative: bool) -> Ex:
    whole, _, fraction = text.partition(".")
    digits = (whole + fraction).lstrip("0")
    scale = len(fraction)
    precision = max(len(digits), scale, 1)
    if precision > 38:
        raise SqlError(
            1007,
            f"The number '{text}' is out of the range for numeric representation (maximum precision 38).",
            severity=15,
        )
    type_ = SqlType("numeric", None, precision, scale)
    value = -int(digits or 0) if negative else int(digits or 0)
    return Ex(f"X'{pack_big(value).hex()}'" if is_big(type_) else str(value), type_, nullable=False)


def _negative_literal(node: nodes.Literal) -> Ex:
    if node.kind == "int":
        return _integer(-int(node.text))
    if node.kind == "dec":
        return _decimal(node.text, negative=True)
    ex = literal(node)
    if ex.type is None or node.kind not in ("float", "money"):
        return arithmetic("-", _integer(0), ex)
    return Ex(f"(-{ex.sql})", ex.type, nullable=False)
