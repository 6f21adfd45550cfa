"""The syntax tree of statements."""

from __future__ import annotations

from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.engine.syntax.nodes import Node, Query, SelectItem, Source, Top
from dstream_sandbox.sqlserver.values import SqlType

ObjectName = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Statement:
    line: int = 1


# Data


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SelectStatement(Statement):
    query: Query


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Output:
    items: tuple[SelectItem, ...]
    into: ObjectName | None = None
    into_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Assignment:
    column: str
    operator: str
    value: Node
    variable: str | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Update(Statement):
    target: ObjectName
    assignments: tuple[Assignment, ...]
    source: Source | None = None
    where: Node | None = None
    output: Output | None = None
    top: Top | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Delete(Statement):
    target: ObjectName
    source: Source | None = None
    where: Node | None = None
    output: Output | None = None
    top: Top | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MergeClause:
    matched: str  # "matched" | "target" (not matched by target) | "source" (not matched by source)
    condition: Node | None
    action: str  # "insert" | "update" | "delete"
    assignments: tuple[Assignment, ...] = ()
    columns: tuple[str, ...] | None = None
    values: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Merge(Statement):
    target: ObjectName
    alias: str | None
    source: Source
    on: Node
    clauses: tuple[MergeClause, ...]
    output: Output | None = None
    ctes: Query | None = None
    hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truncate(Statement):
    target: ObjectName


# Batches


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeclaredVariable:
    name: str
    type: SqlType | None
    value: Node | None = None
    table: TableBody | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Declare(Statement):
    variables: tuple[DeclaredVariable, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SetVariable(Statement):
    name: str
    operator: str
    value: Node


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SetOption(Statement):
    name: str
    value: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SetIdentityInsert(Statement):
    table: ObjectName
    on: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class If(Statement):
    condition: Node
    then: Statement
    otherwise: Statement | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class While(Statement):
    condition: Node
    body: Statement


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Block(Statement):
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TryCatch(Statement):
    body: tuple[Statement, ...]
    handler: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Break(Statement):
    pass


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Continue(Statement):
    pass


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Return(Statement):
    value: Node | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Print(Statement):
    value: Node


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RaiseError(Statement):
    message: Node
    severity: Node
    state: Node
    args: tuple[Node, ...] = ()
    options: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Throw(Statement):
    number: Node | None = None
    message: Node | None = None
    state: Node | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WaitFor(Statement):
    kind: str  # "DELAY" | "TIME"
    value: Node


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Use(Statement):
    database: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProcedureArgument:
    name: str
    value: Node
    output: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Execute(Statement):
    procedure: ObjectName | Node
    arguments: tuple[ProcedureArgument, ...] = ()
    result: str | None = None
    """The variable that receives the return value."""
    text: tuple[Node, ...] = ()
    """EXEC ('...' + ...): the pieces of dynamic SQL, instead of a procedure."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Transaction(Statement):
    action: str  # "begin" | "commit" | "rollback" | "save"
    name: str = ""
    variable: str | None = None


# Definitions


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
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
    mask: str = ""
    """The masking function."""
    keys: tuple[KeyDefinition, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    references: tuple[ForeignKeyDefinition, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KeyDefinition:
    name: str
    primary: bool
    clustered: bool | None
    columns: tuple[tuple[str, bool], ...]
    """Name and whether descending."""
    unique: bool = True
    constraint: bool = True
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CheckDefinition:
    name: str
    expression: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForeignKeyDefinition:
    name: str
    columns: tuple[str, ...]
    table: ObjectName
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableBody:
    columns: tuple[ColumnDefinition, ...] = ()
    keys: tuple[KeyDefinition, ...] = ()
    checks: tuple[CheckDefinition, ...] = ()
    references: tuple[ForeignKeyDefinition, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateTable(Statement):
    name: ObjectName
    body: TableBody


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AlterTable(Statement):
    name: ObjectName
    action: str  # "add" | "alter_column" | "drop_column" | "drop_constraint" | "check"
    body: TableBody = field(default_factory=TableBody)
    column: ColumnDefinition | None = None
    names: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateIndex(Statement):
    table: ObjectName
    key: KeyDefinition


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drop(Statement):
    kind: str  # TABLE, VIEW, PROCEDURE, INDEX, SCHEMA, DATABASE, USER, ROLE, LOGIN
    names: tuple[ObjectName, ...]
    if_exists: bool = False
    table: ObjectName = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateSchema(Statement):
    name: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateDatabase(Statement):
    name: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AlterDatabase(Statement):
    name: str | None
    option: str
    value: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BackupDatabase(Statement):
    name: str
    device: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RestoreDatabase(Statement):
    name: str
    device: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Parameter:
    name: str
    type: SqlType
    default: Node | None = None
    output: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateProcedure(Statement):
    name: ObjectName
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    text: str
    or_alter: bool = False
    alter: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreateView(Statement):
    name: ObjectName
    columns: tuple[str, ...]
    query: Query
    text: str
    or_alter: bool = False
    alter: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CreatePrincipal(Statement):
    kind: str  # LOGIN | USER | ROLE
    name: str
    password: str | None = None
    login: str | None = None
    external_id: str | None = None
    """The principal ID of an identity of Entra ID (FROM EXTERNAL PROVIDER)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RoleMember(Statement):
    role: str
    member: str
    add: bool
    server: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Permission(Statement):
    action: str  # GRANT | DENY | REVOKE
    permissions: tuple[str, ...]
    scope: str  # OBJECT | SCHEMA | DATABASE
    target: ObjectName
    principals: tuple[str, ...]
