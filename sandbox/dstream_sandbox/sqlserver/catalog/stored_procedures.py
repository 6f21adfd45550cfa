"""sp_stored_procedures and sp_sproc_columns: SQLProcedures and SQLProcedureColumns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_sandbox.sqlserver.catalog.column_sizes import column_size
from dstream_sandbox.sqlserver.catalog.objects import (
    CatalogColumn,
    CatalogObject,
    find_objects,
    parameters_of,
    require_current_database,
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
from dstream_sandbox.sqlserver.values import Row, SqlType

_NAME = SqlType("nvarchar", 134)
_VARCHAR_254 = SqlType("varchar", 254)
_PROCEDURE = (("PROCEDURE_QUALIFIER", SYSNAME), ("PROCEDURE_OWNER", SYSNAME), ("PROCEDURE_NAME", _NAME))
_PROCEDURES = columns(
    *_PROCEDURE,
    ("NUM_INPUT_PARAMS", INT),
    ("NUM_OUTPUT_PARAMS", INT),
    ("NUM_RESULT_SETS", INT),
    ("REMARKS", _VARCHAR_254),
    ("PROCEDURE_TYPE", SMALLINT),
)
_PROCEDURE_COLUMNS = columns(
    *_PROCEDURE,
    ("COLUMN_NAME", SYSNAME),
    ("COLUMN_TYPE", SMALLINT),
    ("DATA_TYPE", SMALLINT),
    ("TYPE_NAME", SYSNAME),
    ("PRECISION", INT),
    ("LENGTH", INT),
    ("SCALE", SMALLINT),
    ("RADIX", SMALLINT),
    ("NULLABLE", SMALLINT),
    ("REMARKS", _VARCHAR_254),
    ("COLUMN_DEF", SqlType("nvarchar", 4000)),
    ("SQL_DATA_TYPE", SMALLINT),
    ("SQL_DATETIME_SUB", SMALLINT),
    ("CHAR_OCTET_LENGTH", INT),
    ("ORDINAL_POSITION", INT),
    ("IS_NULLABLE", _VARCHAR_254),
    ("SS_DATA_TYPE", SqlType("tinyint")),
)
_NAMES = ("@sp_name", "@sp_owner", "@sp_qualifier", "@fusepattern")
_COLUMN_NAMES = (
    "@procedure_name", "@procedure_owner", "@procedure_qualifier", "@column_name", "@odbcver", "@fusepattern",
)  # fmt: skip
_UNKNOWN_COUNT = -1
_RETURNS_A_STATUS = 2
# SQLProcedureColumns (ODBC), COLUMN_TYPE
_INPUT, _INPUT_OUTPUT, _RETURN_VALUE = 1, 2, 5
_STATUS = CatalogColumn(0, 0, "@RETURN_VALUE", "int", 4, 10, 0, is_nullable=False)


def sp_stored_procedures(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the user's procedures. Names end in ;1, the number that once grouped procedures."""
    values = arguments(params, _NAMES)
    require_current_database(session, text(values, "@sp_qualifier"))
    is_pattern = number(values, "@fusepattern", 1) != 0
    found = _procedures(session, text(values, "@sp_name"), text(values, "@sp_owner"), is_pattern=is_pattern)
    rows: list[Row] = [
        (session.database, item.schema, f"{item.name};1", *[_UNKNOWN_COUNT] * 3, None, _RETURNS_A_STATUS)
        for item in found
    ]
    yield from result(_PROCEDURES, rows)


def sp_sproc_columns(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the return value and the parameters of the matching procedures."""
    values = arguments(params, _COLUMN_NAMES)
    require_current_database(session, text(values, "@procedure_qualifier"))
    is_pattern = number(values, "@fusepattern", 1) != 0
    version = number(values, "@odbcver", 2)
    wanted = text(values, "@column_name")
    found = _procedures(
        session, text(values, "@procedure_name"), text(values, "@procedure_owner"), is_pattern=is_pattern
    )
    rows: list[Row] = [
        _parameter(session.database, item, column, version)
        for item in found
        for column in (_STATUS, *parameters_of(session, item))
        if matches(column.name, wanted, is_pattern=is_pattern)
    ]
    yield from result(_PROCEDURE_COLUMNS, rows)


def _procedures(
    session: CatalogSession, name: str | None, owner: str | None, *, is_pattern: bool
) -> list[CatalogObject]:
    plain = name.removesuffix(";1") if name else name
    return find_objects(session, frozenset({"P"}), plain, owner, is_pattern=is_pattern)


def _parameter(database: str, item: CatalogObject, column: CatalogColumn, odbc_version: int) -> Row:
    size = column_size(column)
    kind = _RETURN_VALUE if column is _STATUS else _INPUT_OUTPUT if column.is_output else _INPUT
    return (
        database, item.schema, f"{item.name};1", column.name, kind, data_type_for(size.odbc, odbc_version),
        size.odbc.type_name, size.precision, size.length, size.scale, size.radix, int(column.is_nullable), None, None,
        size.odbc.sql_data_type, size.odbc.datetime_sub, size.octets, column.column_id,
        "YES" if column.is_nullable else "NO", size.legacy_type,
    )  # fmt: skip
