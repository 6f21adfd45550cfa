"""The syntax tree of expressions and queries. Nodes compare by identity: plans are cached by node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

from dstream_sandbox.sqlserver.values import SqlType


class Node:
    """Any expression."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    kind: OneOf["int", "dec", "float", "money", "str", "nstr", "bin", "null"]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Variable(Node):
    """@name or @@name, lower case."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Name(Node):
    """A column, possibly qualified: the last part is the column."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Star(Node):
    qualifier: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Compare(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Logical(Node):
    operator: OneOf["AND", "OR"]
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Not(Node):
    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class IsNull(Node):
    operand: Node
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Between(Node):
    operand: Node
    low: Node
    high: Node
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class InList(Node):
    operand: Node
    items: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class InQuery(Node):
    operand: Node
    query: Query
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Like(Node):
    operand: Node
    pattern: Node
    escape: Node | None
    negated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Exists(Node):
    query: Query


@dataclass(frozen=True, slots=True, eq=False)
class Quantified(Node):
    """`operand <op> ANY|ALL (query)`."""

    operator: str
    operand: Node
    every: bool
    query: Query


@dataclass(frozen=True, slots=True, eq=False)
class Case(Node):
    subject: Node | None
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Cast(Node):
    operand: Node
    type: SqlType
    style: Node | None = None
    is_try: bool = False
    parses: bool = False
    """PARSE or TRY_PARSE, which the sandbox does not support."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    partition_by: tuple[Node, ...]
    order_by: tuple[Order, ...]
    frame: str


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A function call. `name` is lower case, and schema-qualified if it was written so."""

    name: tuple[str, ...]
    args: tuple[Node, ...]
    distinct: bool = False
    star: bool = False
    over: Window | None = None
    within: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Method(Node):
    """`expression.Name(args)` or the property `expression.Name` of a CLR type."""

    operand: Node
    name: str
    args: tuple[Node, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class StaticMethod(Node):
    """`hierarchyid::Parse(...)`."""

    type: str
    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Subquery(Node):
    query: Query


@dataclass(frozen=True, slots=True, eq=False)
class Collate(Node):
    operand: Node
    collation: str


@dataclass(frozen=True, slots=True, eq=False)
class AtTimeZone(Node):
    operand: Node
    zone: Node


@dataclass(frozen=True, slots=True, eq=False)
class Default(Node):
    """DEFAULT in a VALUES list."""


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    expression: Node
    descending: bool


@dataclass(frozen=True, slots=True, eq=False)
class SelectItem:
    expression: Node
    alias: str | None = None
    variable: str | None = None
    operator: str = "="
    """Operator of an assignment to `variable`: = or a compound one such as +=."""


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    count: Node
    percent: bool = False
    with_ties: bool = False


class Source:
    """A table source of FROM."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class TableSource(Source):
    name: tuple[str, ...]
    alias: str | None = None
    hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSource(Source):
    call: Call
    alias: str | None
    columns: tuple[str, ...] = ()
    schema: tuple[tuple[str, SqlType, str | None, bool], ...] = ()
    """OPENJSON's WITH list: name, type, path, AS JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class DerivedSource(Source):
    query: Query
    alias: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ValuesSource(Source):
    rows: tuple[tuple[Node, ...], ...]
    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Join(Source):
    kind: OneOf["INNER", "LEFT", "RIGHT", "FULL", "CROSS", "CROSS APPLY", "OUTER APPLY"]
    left: Source
    right: Source
    on: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class Select:
    items: tuple[SelectItem, ...]
    source: Source | None = None
    where: Node | None = None
    group_by: tuple[Node, ...] = ()
    having: Node | None = None
    distinct: bool = False
    top: Top | None = None
    into: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SetOperation:
    operator: OneOf["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]
    left: Body
    right: Body


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    body: Body
    ctes: tuple[Cte, ...] = ()
    order_by: tuple[Order, ...] = ()
    offset: Node | None = None
    fetch: Node | None = None
    max_recursion: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Cte:
    name: str
    columns: tuple[str, ...]
    query: Query


Body = Select | SetOperation | Query
