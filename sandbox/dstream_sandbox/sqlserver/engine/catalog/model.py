"""What a database contains: tables, indexes, constraints, views, procedures, principals. Plain values, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.values import SqlType


@dataclass(slots=True)
class Column:
    """`id` is SQL Server's column_id. It never changes and names the stored column."""

    id: int
    name: str
    type: SqlType
    nullable: bool = True
    identity: tuple[int, int] | None = None
    default: tuple[str, str] | None = None
    """Constraint name and T-SQL expression."""
    computed: str | None = None
    persisted: bool = False
    row_guid: bool = False
    mask: str = ""
    """The masking function of dynamic data masking."""


@dataclass(slots=True)
class Index:
    id: int
    name: str
    columns: tuple[tuple[int, bool], ...]
    """Column id and whether descending."""
    unique: bool = False
    primary: bool = False
    constraint: bool = False
    clustered: bool = False
    include: tuple[int, ...] = ()
    object_id: int = 0
    """Object id of the constraint that owns the index."""


@dataclass(slots=True)
class Check:
    name: str
    expression: str
    object_id: int = 0


@dataclass(slots=True)
class ForeignKey:
    name: str
    columns: tuple[int, ...]
    table_id: int
    references: tuple[int, ...]
    object_id: int = 0


@dataclass(slots=True)
class Table:
    """`storage` is the SQLite schema that holds the table: main, or temp for #tables and table variables."""

    id: int
    schema: str
    name: str
    columns: list[Column]
    indexes: list[Index] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    created: int = 0
    modified: int = 0
    shape: int = 1
    """Incremented when the stored columns change."""
    next_column_id: int = 1
    storage: str = "main"
    system: bool = False
    """A read-only table of the server itself (cdc.*)."""
    filter: str = ""
    """SQLite predicate that hides rows that have not been published yet."""

    @property
    def key(self) -> str:
        """The id as it appears in stored names; a session's own tables have negative ids."""
        return str(self.id) if self.id >= 0 else f"_{-self.id}"

    @property
    def stored_name(self) -> str:
        return f"{self.storage}.t{self.key}"

    @property
    def is_variable(self) -> bool:
        return self.name.startswith("@")

    def column(self, name: str) -> Column | None:
        lowered = name.lower()
        return next((c for c in self.columns if c.name.lower() == lowered), None)

    def column_by_id(self, column_id: int) -> Column:
        return next(c for c in self.columns if c.id == column_id)

    @property
    def stored_columns(self) -> list[Column]:
        return [c for c in self.columns if c.computed is None]

    @property
    def primary_key(self) -> Index | None:
        return next((i for i in self.indexes if i.primary), None)

    @property
    def unique_indexes(self) -> list[Index]:
        return [i for i in self.indexes if i.unique]

    @property
    def identity_column(self) -> Column | None:
        return next((c for c in self.columns if c.identity is not None), None)


@dataclass(slots=True)
class View:
    id: int
    schema: str
    name: str
    text: str
    created: int = 0


@dataclass(slots=True)
class Procedure:
    id: int
    schema: str
    name: str
    text: str
    created: int = 0


@dataclass(slots=True)
class Principal:
    """A database user or role."""

    id: int
    name: str
    kind: str  # "user" | "role"
    login: str | None = None
    members: set[str] = field(default_factory=set)
    """For a role: its members' names in lower case."""
    grants: set[tuple[str, str, str]] = field(default_factory=set)
    """(GRANT or DENY, permission, securable: `object:<id>`, `schema:<name>`, `database`)."""


@dataclass(slots=True)
class DatabaseOptions:
    allow_snapshot_isolation: bool = False
    read_committed_snapshot: bool = True
    service_broker_guid: str = ""
    created: int = 0
    compatibility_level: int = 160
    recovery_model: str = "FULL"
    cdc_enabled: bool = False
    read_only: bool = False
