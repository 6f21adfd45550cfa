"""sp_columns and sp_columns_100: SQLColumns and getColumns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dstream_sandbox.sqlserver.catalog.column_sizes import CLR, column_size
from dstream_sandbox.sqlserver.catalog.objects import (
    CatalogColumn,
    CatalogObject,
    columns_of,
    require_current_database,
    tables,
)
from dstream_sandbox.sqlserver.catalog.odbc_types import data_type_for
from dstream_sandbox.sqlserver.catalog.results import (
    INT,
    SMALLINT,
    SYSNAME,
    CatalogSession,
    arguments,
    columns,
    matches,
    number,
    result,
    text,
)
from dstream_sandbox.sqlserver.session import Event, Param
from dstream_sandbox.sqlserver.values import Row, SqlType, Value

_VARCHAR_254 = SqlType("varchar", 254)
_TEXT = SqlType("nvarchar", 4000)
_COMMON = (
    ("TABLE_QUALIFIER", SYSNAME),
    ("TABLE_OWNER", SYSNAME),
    ("TABLE_NAME", SYSNAME),
    ("COLUMN_NAME", SYSNAME),
    ("DATA_TYPE", SMALLINT),
    ("TYPE_NAME", SYSNAME),
    ("PRECISION", INT),
    ("LENGTH", INT),
    ("SCALE", SMALLINT),
    ("RADIX", SMALLINT),
    ("NULLABLE", SMALLINT),
    ("REMARKS", _VARCHAR_254),
    ("COLUMN_DEF", _TEXT),
    ("SQL_DATA_TYPE", SMALLINT),
    ("SQL_DATETIME_SUB", SMALLINT),
    ("CHAR_OCTET_LENGTH", INT),
    ("ORDINAL_POSITION", INT),
    ("IS_NULLABLE", _VARCHAR_254),
)
_SS_DATA_TYPE = ("SS_DATA_TYPE", SqlType("tinyint"))
_HEAD = columns(*_COMMON, _SS_DATA_TYPE)
_HEAD_100 = columns(
    *_COMMON,
    ("SS_IS_SPARSE", SMALLINT),
    ("SS_IS_COLUMN_SET", SMALLINT),
    ("SS_IS_COMPUTED", SMALLINT),
    ("SS_IS_IDENTITY", SMALLINT),
    ("SS_UDT_CATALOG_NAME", SYSNAME),
    ("SS_UDT_SCHEMA_NAME", SYSNAME),
    ("SS_UDT_ASSEMBLY_TYPE_NAME", _TEXT),
    ("SS_XML_SCHEMACOLLECTION_CATALOG_NAME", SYSNAME),
    ("SS_XML_SCHEMACOLLECTION_SCHEMA_NAME", SYSNAME),
    ("SS_XML_SCHEMACOLLECTION_NAME", SYSNAME),
    _SS_DATA_TYPE,
)
_PARAMETERS = (
    "@table_name", "@table_owner", "@table_qualifier", "@column_name", "@namescope", "@odbcver", "@fusepattern",
)  # fmt: skip
_PARAMETERS_BEFORE_100 = ("@table_name", "@table_owner", "@table_qualifier", "@column_name", "@odbcver")


def sp_columns(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the columns of the matching tables."""
    values = arguments(params, _PARAMETERS_BEFORE_100)
    version = number(values, "@odbcver", 2)
    rows = [_common(session.database, *pair, version) + _legacy(pair[1]) for pair in _find(session, values)]
    yield from result(_HEAD, rows)


def sp_columns_100(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the same as `sp_columns`, plus what SQL Server 2008 added."""
    values = arguments(params, _PARAMETERS)
    version = number(values, "@odbcver", 2)
    rows = [
        _common(session.database, table, column, version) + _added(session.database, column) + _legacy(column)
        for table, column in _find(session, values)
    ]
    yield from result(_HEAD_100, rows)


def _find(session: CatalogSession, values: Mapping[str, Value]) -> list[tuple[CatalogObject, CatalogColumn]]:
    require_current_database(session, text(values, "@table_qualifier"))
    is_pattern = number(values, "@fusepattern", 1) != 0
    found = tables(session, text(values, "@table_name"), text(values, "@table_owner"), is_pattern=is_pattern)
    wanted = text(values, "@column_name")
    return [
        (table, column)
        for table in found
        for column in columns_of(session, table)
        if matches(column.name, wanted, is_pattern=is_pattern)
    ]


def _common(database: str, table: CatalogObject, column: CatalogColumn, odbc_version: int) -> Row:
    size = column_size(column)
    type_name = size.odbc.type_name + (" identity" if column.is_identity else "")
    return (
        database, table.schema, table.name, column.name, data_type_for(size.odbc, odbc_version), type_name,
        size.precision, size.length, size.scale, size.radix, int(column.is_nullable), None, column.default,
        size.odbc.sql_data_type, size.odbc.datetime_sub, size.octets, column.column_id,
        "YES" if column.is_nullable else "NO",
    )  # fmt: skip


def _added(database: str, column: CatalogColumn) -> Row:
    clr = (database, "sys", None) if column_size(column).odbc.data_type == CLR else (None, None, None)
    return (0, 0, int(column.is_computed), int(column.is_identity), *clr, None, None, None)


def _legacy(column: CatalogColumn) -> Row:
    return (column_size(column).legacy_type,)
