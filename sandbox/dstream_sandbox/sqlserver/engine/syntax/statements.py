"""The syntax tree of statements."""

from __future__ import annotations

from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.engine.syntax.nodes import Node, Query, SelectItem, Source, Top
from dstream_sandbox.sqlserver.values import SqlType

_node = dataclass(frozen=True, slots=True, eq=False, kw_only=True)

ObjectName = tuple[str, ...]


@_node
class Statement:
    line: int = 1


# Data


@_node
class SelectStatement(Statement):
    query: Query


@_node
class Output:
    items: tuple[SelectItem, ...]
    into: ObjectName | None = None
    into_columns: tuple[str, ...] = ()


@_node
class Insert(Statement):
    target: ObjectName
    columns: tuple[str, ...] | None = None
    rows: tuple[tuple[Node, ...], ...] = ()
    query: Query | None = None
    execute: Execute | None = None
    default_values: bool = False
    output: Output | None = None
    top: Top | None = None
    hints: frozenset[str] = frozenset()


@_node
class Assignment:
    column: str
    operator: str
    value: Node
    variable: str | None = None


@_node
class Update(Statement):
    target: ObjectName
    assignments: tuple[Assignment, ...]
    source: Source | None = None
    where: Node | None = None
    output: Output | None = None
    top: Top | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@_node
class Delete(Statement):
    target: ObjectName
    source: Source | None = None
    where: Node | None = None
    output: Output | None = None
    top: Top | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@_node
class MergeClause:
    matched: str  # "matched" | "target" (not matched by target) | "source" (not matched by source)
    condition: Node | None
    action: str  # "insert" | "update" | "delete"
    assignments: tuple[Assignment, ...] = ()
    columns: tuple[str, ...] | None = None
    values: tuple[Node, ...] = ()


@_node
class Merge(Statement):
    target: ObjectName
    alias: str | None
    source: Source
    on: Node
    clauses: tuple[MergeClause, ...]
    output: Output | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@_node
class Truncate(Statement):
    target: ObjectName


# Batches


@_node
class DeclaredVariable:
    name: str
    type: SqlType | None
    value: Node | None = None
    table: TableBody | None = None


@_node
class Declare(Statement):
    variables: tuple[DeclaredVariable, ...]


@_node
class SetVariable(Statement):
    name: str
    operator: str
    value: Node


@_node
class SetOption(Statement):
    name: str
    value: str


@_node
class SetIdentityInsert(Statement):
    table: ObjectName
    on: bool


@_node
class If(Statement):
    condition: Node
    then: Statement
    otherwise: Statement | None = None


@_node
class While(Statement):
    condition: Node
    body: Statement


@_node
class Block(Statement):
    body: tuple[Statement, ...]


@_node
class TryCatch(Statement):
    body: tuple[Statement, ...]
    handler: tuple[Statement, ...]


@_node
class Break(Statement):
    pass


@_node
class Continue(Statement):
    pass


@_node
class Return(Statement):
    value: Node | None = None


@_node
class Print(Statement):
    value: Node


@_node
class RaiseError(Statement):
    message: Node
    severity: Node
    state: Node
    args: tuple[Node, ...] = ()
    options: frozenset[str] = frozenset()


@_node
class Throw(Statement):
    number: Node | None = None
    message: Node | None = None
    state: Node | None = None


@_node
class WaitFor(Statement):
    kind: str  # "DELAY" | "TIME"
    value: Node


@_node
class Use(Statement):
    database: str


@_node
class ProcedureArgument:
    name: str
    value: Node
    output: bool = False


@_node
class Execute(Statement):
    procedure: ObjectName | Node
    arguments: tuple[ProcedureArgument, ...] = ()
    result: str | None = None
    """The variable that takes the return value."""
    text: tuple[Node, ...] = ()
    """EXEC ('..' + ..): the pieces of dynamic SQL, instead of a procedure."""


@_node
class Transaction(Statement):
    action: str  # "begin" | "commit" | "rollback" | "save"
    name: str = ""
    variable: str | None = None


# Definitions


@_node
class ColumnDefinition:
    name: str
    type: SqlType | None
    nullable: bool | None = None
    identity: tuple[int, int] | None = None
    default: tuple[str, str] | None = None
    """Constraint name and expression text."""
    computed: str | None = None
    persisted: bool = False
    row_guid: bool = False
    keys: tuple[KeyDefinition, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    references: tuple[ForeignKeyDefinition, ...] = ()


@_node
class KeyDefinition:
    name: str
    primary: bool
    clustered: bool | None
    columns: tuple[tuple[str, bool], ...]
    """Name and whether descending."""
    unique: bool = True
    constraint: bool = True
    include: tuple[str, ...] = ()


@_node
class CheckDefinition:
    name: str
    expression: str


@_node
class ForeignKeyDefinition:
    name: str
    columns: tuple[str, ...]
    table: ObjectName
    references: tuple[str, ...]


@_node
class TableBody:
    columns: tuple[ColumnDefinition, ...] = ()
    keys: tuple[KeyDefinition, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    references: tuple[ForeignKeyDefinition, ...] = ()


@_node
class CreateTable(Statement):
    name: ObjectName
    body: TableBody


@_node
class AlterTable(Statement):
    name: ObjectName
    action: str  # "add" | "alter_column" | "drop_column" | "drop_constraint" | "check"
    body: TableBody = field(default_factory=TableBody)
    column: ColumnDefinition | None = None
    names: tuple[str, ...] = ()
    text: str = ""


@_node
class CreateIndex(Statement):
    table: ObjectName
    key: KeyDefinition


@_node
class Drop(Statement):
    kind: str  # TABLE, VIEW, PROCEDURE, INDEX, SCHEMA, DATABASE, USER, ROLE, LOGIN
    names: tuple[ObjectName, ...]
    if_exists: bool = False
    table: ObjectName = ()


@_node
class CreateSchema(Statement):
    name: str


@_node
class CreateDatabase(Statement):
    name: str


@_node
class AlterDatabase(Statement):
    name: str | None
    option: str
    value: str


@_node
class Parameter:
    name: str
    type: SqlType
    default: Node | None = None
    output: bool = False


@_node
class CreateProcedure(Statement):
    name: ObjectName
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    text: str
    or_alter: bool = False
    alter: bool = False


@_node
class CreateView(Statement):
    name: ObjectName
    columns: tuple[str, ...]
    query: Query
    text: str
    or_alter: bool = False
    alter: bool = False


@_node
class CreatePrincipal(Statement):
    kind: str  # LOGIN | USER | ROLE
    name: str
    password: str | None = None
    login: str | None = None


@_node
class RoleMember(Statement):
    role: str
    member: str
    add: bool
    server: bool = False


@_node
class Permission(Statement):
    action: str  # GRANT | DENY | REVOKE
    permissions: tuple[str, ...]
    scope: str  # OBJECT | SCHEMA | DATABASE
    target: ObjectName
    principals: tuple[str, ...]
