"""Builds a table's definition from the syntax of CREATE TABLE and ALTER TABLE: columns, keys, checks, references."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.binder.scope import BoundSource, Scope
from dstream_sandbox.sqlserver.engine.catalog.model import (
    Check,
    Column,
    ForeignKey,
    Index,
    Table,
)
from dstream_sandbox.sqlserver.engine.errors import invalid_column, unsupported
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_expression
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


def now() -> int:
    return to_datetime(clock.now_ticks())


def already_exists(name: str) -> SqlError:
    return SqlError(2714, f"There is already an object named '{name}' in the database.", state=6)


def build_table(
    session: SqlSession, object_id: int, schema: str, name: str, body: st.TableBody, new_id: Callable[[], int]
) -> Table:
    """Return a validated table definition. Raises 2705 and errors such as 1750."""
    created = now()
    table = Table(object_id, schema, name, [], created=created, modified=created)
    for definition in body.columns:
        add_column(session, table, definition, new_id)
    keys = [k for d in body.columns for k in d.keys] + list(body.keys)
    for key in sorted(keys, key=lambda k: not k.primary):
        add_key(table, key, new_id)
    for check in [c for d in body.columns for c in d.checks] + list(body.checks):
        add_check(session, table, check, new_id)
    for reference in [r for d in body.columns for r in d.references] + list(body.references):
        add_reference(session, table, reference, new_id)
    return table


def add_column(session: SqlSession, table: Table, definition: st.ColumnDefinition, new_id: Callable[[], int]) -> Column:
    if table.column(definition.name) is not None:
        raise SqlError(
            2705,
            f"Column names in each table must be unique. Column name '{definition.name}' in table "
            f"'{table.name}' is specified more than once.",
        )
    column = Column(table.next_column_id, definition.name, definition.type or names.INT)
    column.nullable = definition.nullable is not False
    column.identity, column.row_guid = definition.identity, definition.row_guid
    column.mask = definition.mask
    if definition.type is not None and definition.type.name == "rowversion":
        column.nullable = definition.nullable is True
    if definition.identity is not None:
        column.nullable = False
        if column.type.name not in names.INTEGERS | names.DECIMALS or (column.type.scale or 0):
            raise SqlError(
                2749,
                f"Identity column '{column.name}' must be of data type int, bigint, smallint, tinyint, or "
                "decimal or numeric with a scale of 0, unencrypted, and constrained to be nonnullable.",
            )
        if table.identity_column is not None:
            raise SqlError(
                2744,
                f"Multiple identity columns specified for table '{table.name}'. Only one identity column "
                "per table is allowed.",
            )
    if definition.default is not None:
        constraint = definition.default[0] or f"DF__{table.name[:9]}__{definition.name[:5]}__{new_id():08X}"
        column.default = (constraint, definition.default[1])
    if definition.computed is not None:
        column.computed, column.persisted = definition.computed, definition.persisted
        ex = _bind_over(session, table, definition.computed)
        column.type, column.nullable = ex.type or names.INT, definition.nullable is not False
    table.columns.append(column)
    table.next_column_id += 1
    if column.default is not None:
        ChangeBinder(session, database=session.home.name)._default(table, column)
    return column


def _bind_over(session: SqlSession, table: Table, text: str) -> Ex:
    """Bind an expression over the table's columns, to determine its type and check that it is valid."""
    binder = ChangeBinder(session, database=session.home.name)
    scope = Scope([BoundSource((table.name.lower(),), binder.table_columns(table, "t"))])
    return binder.bind_in(scope, parse_expression(text))


def add_key(table: Table, key: st.KeyDefinition, new_id: Callable[[], int]) -> Index:
    columns: list[tuple[int, bool]] = []
    for name, descending in key.columns:
        column = table.column(name)
        if column is None:
            raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")
        if column.computed is not None:
            raise unsupported("indexes on computed columns")
        if names.is_lob(column.type):
            raise SqlError(
                1919,
                f"Column '{name}' in table '{table.name}' is of a type that is invalid for use as a key "
                "column in an index.",
            )
        if key.primary:
            if column.nullable and key.constraint and table.created != table.modified:
                raise SqlError(
                    8111, f"Cannot define PRIMARY KEY constraint on nullable column in table '{table.name}'."
                )
            column.nullable = False
        columns.append((column.id, descending))
    if key.primary and table.primary_key is not None:
        raise SqlError(1779, f"Table '{table.name}' already has a primary key defined on it.")
    prefix = "PK" if key.primary else "UQ"
    object_id = new_id() if key.constraint else 0
    name = key.name or f"{prefix}__{table.name[:9]}__{object_id & 0xFFFFFFFF:016X}"
    if any(i.name.lower() == name.lower() for i in table.indexes):
        raise SqlError(
            1913,
            f"The operation failed because an index or statistics with name '{name}' already exists on "
            f"table '{table.schema}.{table.name}'.",
        )
    taken = {i.id for i in table.indexes}
    clustered = key.clustered if key.clustered is not None else key.primary
    clustered = clustered and 1 not in taken
    index_id = 1 if clustered else next(i for i in itertools.count(2) if i not in taken)
    include = tuple(c.id for n in key.include if (c := table.column(n)) is not None)
    index = Index(
        index_id, name, tuple(columns), key.unique, key.primary, key.constraint, clustered, include, object_id
    )
    table.indexes.append(index)
    return index


def add_check(session: SqlSession, table: Table, check: st.CheckDefinition, new_id: Callable[[], int]) -> Check:
    object_id = new_id()
    binder = ChangeBinder(session, database=session.home.name)
    binder.scope = Scope([BoundSource((table.name.lower(),), binder.table_columns(table, "t"))])
    binder.predicate(parse_expression(check.expression))
    made = Check(check.name or f"CK__{table.name[:9]}__{object_id & 0xFFFFFFFF:08X}", check.expression, object_id)
    table.checks.append(made)
    return made


def add_reference(
    session: SqlSession, table: Table, reference: st.ForeignKeyDefinition, new_id: Callable[[], int]
) -> ForeignKey:
    found = table if reference.table[-1].lower() == table.name.lower() else session.find(reference.table)
    shown = ".".join(reference.table)
    if not isinstance(found, Table):
        raise SqlError(1767, f"Foreign key '{reference.name}' references invalid table '{shown}'.")
    if table.storage == "temp" or found.storage == "temp":
        raise unsupported("foreign keys of temporary tables")
    columns = tuple(_column_id(table, n) for n in reference.columns)
    wanted = reference.references
    if wanted:
        references = tuple(_column_id(found, n) for n in wanted)
    else:
        primary = found.primary_key
        references = tuple(c for c, _ in primary.columns) if primary is not None else ()
    if not any({c for c, _ in i.columns} == set(references) for i in found.unique_indexes):
        raise SqlError(
            1776,
            f"There are no primary or candidate keys in the referenced table '{shown}' that match the "
            f"referencing column list in the foreign key '{reference.name}'.",
        )
    object_id = new_id()
    name = reference.name or f"FK__{table.name[:9]}__{object_id & 0xFFFFFFFF:08X}"
    made = ForeignKey(name, columns, found.id, references, object_id)
    table.foreign_keys.append(made)
    return made


def _column_id(table: Table, name: str) -> int:
    column = table.column(name)
    if column is None:
        raise invalid_column(name)
    return column.id
