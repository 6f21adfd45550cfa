"""The syntax tree of expressions and queries. Nodes compare by identity: plans are cached by node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

from dstream_sandbox.sqlserver.values import SqlType

_node = dataclass(frozen=True, slots=True, eq=False)


class Node:
    """Any expression."""

    __slots__ = ()


@_node
class Literal(Node):
    kind: OneOf["int", "dec", "float", "money", "str", "nstr", "bin", "null"]
    text: str


@_node
class Variable(Node):
    """@name or @@name, lower case."""

    name: str


@_node
class Name(Node):
    """A column, possibly qualified: the last part is the column."""

    parts: tuple[str, ...]


@_node
class Star(Node):
    qualifier: tuple[str, ...]


@_node
class Unary(Node):
    operator: str
    operand: Node


@_node
class Binary(Node):
    operator: str
    left: Node
    right: Node


@_node
class Compare(Node):
    operator: str
    left: Node
    right: Node


@_node
class Logical(Node):
    operator: OneOf["AND", "OR"]
    left: Node
    right: Node


@_node
class Not(Node):
    operand: Node


@_node
class IsNull(Node):
    operand: Node
    negated: bool


@_node
class Between(Node):
    operand: Node
    low: Node
    high: Node
    negated: bool


@_node
class InList(Node):
    operand: Node
    items: tuple[Node, ...]
    negated: bool


@_node
class InQuery(Node):
    operand: Node
    query: Query
    negated: bool


@_node
class Like(Node):
    operand: Node
    pattern: Node
    escape: Node | None
    negated: bool


@_node
class Exists(Node):
    query: Query


@_node
class Quantified(Node):
    """`operand <op> ANY|ALL (query)`."""

    operator: str
    operand: Node
    every: bool
    query: Query


@_node
class Case(Node):
    subject: Node | None
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@_node
class Cast(Node):
    operand: Node
    type: SqlType
    style: Node | None = None
    is_try: bool = False
    parses: bool = False
    """PARSE: from text by culture (the sandbox knows the invariant one)."""


@_node
class Window:
    partition_by: tuple[Node, ...]
    order_by: tuple[Order, ...]
    frame: str


@_node
class Call(Node):
    """A function. `name` is lower case, schema-qualified where it was written so."""

    name: tuple[str, ...]
    args: tuple[Node, ...]
    distinct: bool = False
    star: bool = False
    over: Window | None = None
    within: tuple[Order, ...] = ()


@_node
class Method(Node):
    """`expression.Name(args)` or the property `expression.Name` of a CLR type."""

    operand: Node
    name: str
    args: tuple[Node, ...] | None


@_node
class StaticMethod(Node):
    """`hierarchyid::Parse(..)`."""

    type: str
    name: str
    args: tuple[Node, ...]


@_node
class Subquery(Node):
    query: Query


@_node
class Collate(Node):
    operand: Node
    collation: str


@_node
class AtTimeZone(Node):
    operand: Node
    zone: Node


@_node
class Default(Node):
    """DEFAULT in a VALUES list."""


@_node
class Order:
    expression: Node
    descending: bool


@_node
class SelectItem:
    expression: Node
    alias: str | None = None
    variable: str | None = None
    operator: str = "="
    """Of an assignment to `variable`: = or a compound one such as +=."""


@_node
class Top:
    count: Node
    percent: bool = False
    with_ties: bool = False


class Source:
    """A table source of FROM."""

    __slots__ = ()


@_node
class TableSource(Source):
    name: tuple[str, ...]
    alias: str | None = None
    hints: frozenset[str] = frozenset()


@_node
class FunctionSource(Source):
    call: Call
    alias: str | None
    columns: tuple[str, ...] = ()
    schema: tuple[tuple[str, SqlType, str | None, bool], ...] = ()
    """OPENJSON's WITH list: name, type, path, AS JSON."""


@_node
class DerivedSource(Source):
    query: Query
    alias: str
    columns: tuple[str, ...] = ()


@_node
class ValuesSource(Source):
    rows: tuple[tuple[Node, ...], ...]
    alias: str
    columns: tuple[str, ...]


@_node
class Join(Source):
    kind: OneOf["INNER", "LEFT", "RIGHT", "FULL", "CROSS", "CROSS APPLY", "OUTER APPLY"]
    left: Source
    right: Source
    on: Node | None


@_node
class Select:
    items: tuple[SelectItem, ...]
    source: Source | None = None
    where: Node | None = None
    group_by: tuple[Node, ...] = ()
    having: Node | None = None
    distinct: bool = False
    top: Top | None = None
    into: tuple[str, ...] | None = None


@_node
class SetOperation:
    operator: OneOf["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]
    left: Body
    right: Body


@_node
class Query:
    body: Body
    ctes: tuple[Cte, ...] = ()
    order_by: tuple[Order, ...] = ()
    offset: Node | None = None
    fetch: Node | None = None
    max_recursion: int = 100


@_node
class Cte:
    name: str
    columns: tuple[str, ...]
    query: Query


Body = Select | SetOperation | Query
