"""Plans of INSERT, UPDATE, DELETE and MERGE: SQL that fills a change log, and the checks over it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dstream_sandbox.sqlserver.engine.binder.expression import Ex, Gathered
from dstream_sandbox.sqlserver.engine.catalog.model import ForeignKey, Index, Table

INSERTED, DELETED, UPDATED, REKEYED = 2, 1, 4, 5
"""Kinds of change in a log, numbered as CDC operations. REKEYED is an update of a key, which CDC shows as 1 and 2."""


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """A CHECK constraint: `sql` is true for a row of the log that violates it."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class OutputPlan:
    sql: str
    columns: tuple[Ex, ...]
    into: ChangePlan | None = None
    variables: dict[str, str] = field(default_factory=dict)
    session_values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """`fills` are INSERT INTO log ... SELECT statements, run in order; `completions` complete the new rows in place."""

    verb: str
    table: Table
    fills: tuple[str, ...]
    gathered: Gathered
    single_row: bool = False
    row_count: int | None = None
    """Number of rows, if the statement specifies it (VALUES)."""
    completions: tuple[str, ...] = ()
    needs_identity: bool = False
    explicit_identity: int | None = None
    """Column id of the identity column that receives values under IDENTITY_INSERT."""
    not_null: tuple[int, ...] = ()
    checks: tuple[ConditionCheck, ...] = ()
    unique: tuple[Index, ...] = ()
    """Unique indexes whose keys may have changed."""
    keys: tuple[Index, ...] = ()
    """Unique indexes whose keys must be locked."""
    parents: tuple[ForeignKey, ...] = ()
    children: tuple[tuple[Table, ForeignKey], ...] = ()
    output: OutputPlan | None = None
    variables: tuple[tuple[str, str], ...] = ()
    """UPDATE ... SET @v = ...: variable and SQL over the log."""
    may_repeat_rows: bool = False
    exclusive: bool = False
