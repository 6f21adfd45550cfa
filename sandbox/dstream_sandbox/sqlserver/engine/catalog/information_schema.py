"""INFORMATION_SCHEMA (Microsoft Learn, "System information schema views (Transact-SQL)")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dstream_sandbox.sqlserver.engine.catalog import rights, system_views
from dstream_sandbox.sqlserver.engine.catalog.object_views import tables
from dstream_sandbox.sqlserver.engine.catalog.system_views import view
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.values import MAX, SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.session import SqlSession

Row = tuple[Any, ...]


@view("INFORMATION_SCHEMA.TABLES", "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n TABLE_TYPE:n", catalog_only=True)
def tables_(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        yield session.home.name, table.schema, table.name, "BASE TABLE"
    for entry in session.home.views.values():
        if rights.visible(session, entry):
            yield session.home.name, entry.schema, entry.name, "VIEW"


@view("INFORMATION_SCHEMA.SCHEMATA", "CATALOG_NAME:n SCHEMA_NAME:n SCHEMA_OWNER:n", catalog_only=True)
def schemata(session: SqlSession) -> Iterator[Row]:
    for name in session.home.schemas:
        yield session.home.name, name, "dbo"


@view(
    "INFORMATION_SCHEMA.COLUMNS",
    "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n COLUMN_NAME:n ORDINAL_POSITION:i COLUMN_DEFAULT:x "
    "IS_NULLABLE:n DATA_TYPE:n "
    "CHARACTER_MAXIMUM_LENGTH:i CHARACTER_OCTET_LENGTH:i NUMERIC_PRECISION:t NUMERIC_PRECISION_RADIX:s "
    "NUMERIC_SCALE:i DATETIME_PRECISION:s "
    "CHARACTER_SET_CATALOG:n CHARACTER_SET_SCHEMA:n CHARACTER_SET_NAME:n COLLATION_CATALOG:n "
    "COLLATION_SCHEMA:n COLLATION_NAME:n "
    "DOMAIN_CATALOG:n DOMAIN_SCHEMA:n DOMAIN_NAME:n",
    catalog_only=True,
)
def columns(session: SqlSession) -> Iterator[Row]:
    for table in tables(session):
        for position, column in enumerate(table.columns, 1):
            default = f"({column.default[1]})" if column.default is not None else None
            yield (
                session.home.name, table.schema, table.name, column.name, position, default,
                "YES" if column.nullable else "NO",
                *_type_columns(column.type), None, None, None,
            )  # fmt: skip


def _type_columns(type_: SqlType) -> Row:
    name = "timestamp" if type_.name == "rowversion" else type_.name
    chars = octets = precision = radix = scale = fraction = charset = collation = None
    if name in names.CHARACTER or name in names.BINARY or name in ("xml", "image"):
        chars = -1 if type_.length == MAX or name == "xml" else type_.length
        if name in names.LEGACY_LOBS:
            chars = 1073741823 if name == "ntext" else 2147483647
        octets = chars * 2 if chars and chars > 0 and name in ("nchar", "nvarchar") else chars
        if name in names.CHARACTER:
            charset, collation = ("UNICODE" if name in names.UNICODE else "iso_1"), type_.collation
    elif name in names.TEMPORAL:
        fraction = {"date": 0, "datetime": 3, "smalldatetime": 0}.get(name, 7 if type_.scale is None else type_.scale)
    elif name in names.INTEGERS | names.DECIMALS | names.MONIES | names.APPROXIMATE:
        precision, radix = system_views.precision(type_), 2 if name in names.APPROXIMATE else 10
        scale = None if name in names.APPROXIMATE else system_views.scale(type_)
    return name, chars, octets, precision, radix, scale, fraction, None, None, charset, None, None, collation


@view(
    "INFORMATION_SCHEMA.TABLE_CONSTRAINTS",
    "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n TABLE_CATALOG:n TABLE_SCHEMA:n "
    "TABLE_NAME:n CONSTRAINT_TYPE:n "
    "IS_DEFERRABLE:n INITIALLY_DEFERRED:n",
    catalog_only=True,
)
def table_constraints(session: SqlSession) -> Iterator[Row]:
    database = session.home.name
    for table in tables(session):
        named = [(i.name, "PRIMARY KEY" if i.primary else "UNIQUE") for i in table.indexes if i.constraint]
        named += [(c.name, "CHECK") for c in table.checks] + [(k.name, "FOREIGN KEY") for k in table.foreign_keys]
        for name, kind in named:
            yield database, table.schema, name, database, table.schema, table.name, kind, "NO", "NO"


@view(
    "INFORMATION_SCHEMA.KEY_COLUMN_USAGE",
    "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n TABLE_CATALOG:n TABLE_SCHEMA:n "
    "TABLE_NAME:n COLUMN_NAME:n ORDINAL_POSITION:i",
    catalog_only=True,
)
def key_column_usage(session: SqlSession) -> Iterator[Row]:
    database = session.home.name
    for table in tables(session):
        keys = [(i.name, [c for c, _ in i.columns]) for i in table.indexes if i.constraint]
        keys += [(k.name, list(k.columns)) for k in table.foreign_keys]
        for name, ids in keys:
            for position, column_id in enumerate(ids, 1):
                column = table.column_by_id(column_id).name
                yield database, table.schema, name, database, table.schema, table.name, column, position


@view(
    "INFORMATION_SCHEMA.CONSTRAINT_COLUMN_USAGE",
    "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n COLUMN_NAME:n CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n "
    "CONSTRAINT_NAME:n",
    catalog_only=True,
)
def constraint_column_usage(session: SqlSession) -> Iterator[Row]:
    for row in key_column_usage(session):
        yield row[3], row[4], row[5], row[6], row[0], row[1], row[2]


@view(
    "INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS",
    "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n UNIQUE_CONSTRAINT_CATALOG:n "
    "UNIQUE_CONSTRAINT_SCHEMA:n UNIQUE_CONSTRAINT_NAME:n "
    "MATCH_OPTION:n UPDATE_RULE:n DELETE_RULE:n",
    catalog_only=True,
)
def referential_constraints(session: SqlSession) -> Iterator[Row]:
    database = session.home.name
    for table in tables(session):
        for key in table.foreign_keys:
            parent = session.home.tables[key.table_id]
            target = next(i for i in parent.unique_indexes if {c for c, _ in i.columns} == set(key.references))
            yield (
                database,
                table.schema,
                key.name,
                database,
                parent.schema,
                target.name,
                "SIMPLE",
                "NO ACTION",
                "NO ACTION",
            )


@view(
    "INFORMATION_SCHEMA.VIEWS",
    "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n VIEW_DEFINITION:x CHECK_OPTION:n IS_UPDATABLE:n",
    catalog_only=True,
)
def views(session: SqlSession) -> Iterator[Row]:
    for entry in session.home.views.values():
        if rights.visible(session, entry):
            yield session.home.name, entry.schema, entry.name, entry.text, "NONE", "NO"


@view(
    "INFORMATION_SCHEMA.ROUTINES",
    "SPECIFIC_CATALOG:n SPECIFIC_SCHEMA:n SPECIFIC_NAME:n ROUTINE_CATALOG:n ROUTINE_SCHEMA:n "
    "ROUTINE_NAME:n ROUTINE_TYPE:n ROUTINE_DEFINITION:x",
    catalog_only=True,
)
def routines(session: SqlSession) -> Iterator[Row]:
    database = session.home.name
    for entry in session.home.procedures.values():
        if rights.visible(session, entry):
            yield database, entry.schema, entry.name, database, entry.schema, entry.name, "PROCEDURE", entry.text
