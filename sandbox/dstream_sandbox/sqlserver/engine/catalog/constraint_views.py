"""sys.* views of constraints, identities and computed columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog import system_views
from dstream_sandbox.sqlserver.engine.catalog.object_views import OBJECT_COLUMNS, Row, default_id, schema_id_of, tables
from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.types import names

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession


@view(
    "sys.identity_columns",
    "object_id:i name:n column_id:i system_type_id:t seed_value:V increment_value:V last_value:V "
    "is_not_for_replication:b is_computed:b",
)
def identity_columns(session: SqlSession) -> Iterator[Row]:
    from dstream_sandbox.sqlserver.engine.types.storage import pack_variant

    for table in tables(session):
        column = table.identity_column
        if column is None or column.identity is None:
            continue
        seed, step = column.identity
        following = session.home.identities.get(table.id, seed)
        last = None if following == seed else pack_variant(names.BIGINT, following - step)
        yield (
            table.id, column.name, column.id, system_views.catalog_type(column.type)[0], pack_variant(names.BIGINT,
            seed),
            pack_variant(names.BIGINT, step), last, 0, 0,
        )  # fmt: skip


@view(
    "sys.computed_columns",
    "object_id:i name:n column_id:i definition:x is_persisted:b is_computed:b",
    catalog_only=True,
)
def computed_columns(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        for column in table.columns:
            if column.computed is not None:
                yield table.id, column.name, column.id, column.computed, int(column.persisted), 1


@view(
    "sys.key_constraints",
    OBJECT_COLUMNS + " unique_index_id:i is_system_named:b is_enforced:b",
    catalog_only=True,
)
def key_constraints(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        for index in table.indexes:
            if index.constraint:
                kind = ("PK", "PRIMARY_KEY_CONSTRAINT") if index.primary else ("UQ", "UNIQUE_CONSTRAINT")
                yield (
                    index.name, index.object_id, None, schema_id_of(session, table.schema), table.id, *kind,
                    table.created, table.created,
                    0, 0, 0, index.id, int("__" in index.name), 1,
                )  # fmt: skip


@view(
    "sys.check_constraints",
    OBJECT_COLUMNS + " is_disabled:b definition:x parent_column_id:i is_not_trusted:b",
    catalog_only=True,
)
def check_constraints(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        schema = schema_id_of(session, table.schema)
        for check in table.checks:
            yield (
                check.name, check.object_id, None, schema, table.id, "C ", "CHECK_CONSTRAINT", table.created,
                table.created, 0, 0, 0, 0,
                f"({check.expression})", 0, 0,
            )  # fmt: skip


@view(
    "sys.default_constraints", OBJECT_COLUMNS + " parent_column_id:i definition:x is_system_named:b", catalog_only=True
)
def default_constraints(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        schema = schema_id_of(session, table.schema)
        for column in table.columns:
            if column.default is not None:
                yield (
                    column.default[0], default_id(table, column.id), None, schema, table.id, "D ",
                    "DEFAULT_CONSTRAINT", table.created,
                    table.created, 0, 0, 0, column.id, f"({column.default[1]})", int("__" in column.default[0]),
                )  # fmt: skip


@view(
    "sys.foreign_keys",
    OBJECT_COLUMNS
    + " referenced_object_id:i key_index_id:i is_disabled:b is_not_trusted:b delete_referential_action:t "
    "delete_referential_action_desc:n update_referential_action:t update_referential_action_desc:n is_system_named:b",
    catalog_only=True,
)
def foreign_keys(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        schema = schema_id_of(session, table.schema)
        for key in table.foreign_keys:
            yield (
                key.name, key.object_id, None, schema, table.id, "F ", "FOREIGN_KEY_CONSTRAINT", table.created,
                table.created, 0, 0, 0,
                key.table_id, 1, 0, 0, 0, "NO_ACTION", 0, "NO_ACTION", int("__" in key.name),
            )  # fmt: skip


@view(
    "sys.foreign_key_columns",
    "constraint_object_id:i constraint_column_id:i parent_object_id:i parent_column_id:i "
    "referenced_object_id:i referenced_column_id:i",
    catalog_only=True,
)
def foreign_key_columns(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        for key in table.foreign_keys:
            for position, (column, reference) in enumerate(zip(key.columns, key.references, strict=True), 1):
                yield key.object_id, position, table.id, column, key.table_id, reference
