"""sp_pkeys, sp_fkeys, sp_statistics and sp_special_columns: what identifies a row, and its indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dstream_sandbox.sqlserver.catalog.column_sizes import column_size
from dstream_sandbox.sqlserver.catalog.objects import (
    CatalogColumn,
    CatalogIndex,
    CatalogObject,
    columns_of,
    indexes_of,
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

_TABLE = (("TABLE_QUALIFIER", SYSNAME), ("TABLE_OWNER", SYSNAME), ("TABLE_NAME", SYSNAME))
_TABLE_PARAMETERS = ("@table_name", "@table_owner", "@table_qualifier")

_PRIMARY_KEY = columns(*_TABLE, ("COLUMN_NAME", SYSNAME), ("KEY_SEQ", SMALLINT), ("PK_NAME", SYSNAME))
_FOREIGN_KEY = columns(
    ("PKTABLE_QUALIFIER", SYSNAME),
    ("PKTABLE_OWNER", SYSNAME),
    ("PKTABLE_NAME", SYSNAME),
    ("PKCOLUMN_NAME", SYSNAME),
    ("FKTABLE_QUALIFIER", SYSNAME),
    ("FKTABLE_OWNER", SYSNAME),
    ("FKTABLE_NAME", SYSNAME),
    ("FKCOLUMN_NAME", SYSNAME),
    ("KEY_SEQ", SMALLINT),
    ("UPDATE_RULE", SMALLINT),
    ("DELETE_RULE", SMALLINT),
    ("FK_NAME", SYSNAME),
    ("PK_NAME", SYSNAME),
    ("DEFERRABILITY", SMALLINT),
)
_STATISTICS = columns(
    *_TABLE,
    ("NON_UNIQUE", SMALLINT),
    ("INDEX_QUALIFIER", SYSNAME),
    ("INDEX_NAME", SYSNAME),
    ("TYPE", SMALLINT),
    ("SEQ_IN_INDEX", SMALLINT),
    ("COLUMN_NAME", SYSNAME),
    ("COLLATION", SqlType("char", 1)),
    ("CARDINALITY", INT),
    ("PAGES", INT),
    ("FILTER_CONDITION", SqlType("varchar", 128)),
)
_SPECIAL = columns(
    ("SCOPE", SMALLINT),
    ("COLUMN_NAME", SYSNAME),
    ("DATA_TYPE", SMALLINT),
    ("TYPE_NAME", SYSNAME),
    ("PRECISION", INT),
    ("LENGTH", INT),
    ("SCALE", SMALLINT),
    ("PSEUDO_COLUMN", SMALLINT),
)
# SQLStatistics (ODBC), TYPE; SQLSpecialColumns, SCOPE and PSEUDO_COLUMN.
_TABLE_STATISTICS, _CLUSTERED, _OTHER = 0, 1, 3
_SCOPES = {"C": 0, "T": 1}
_NOT_PSEUDO = 1


def sp_pkeys(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the primary key's columns in order."""
    rows: list[Row] = [
        (session.database, table.schema, table.name, column, position, index.name)
        for table in _tables(session, arguments(params, _TABLE_PARAMETERS))
        for index in indexes_of(session, table)
        if index.is_primary_key
        for position, (column, _) in enumerate(index.keys, 1)
    ]
    yield from result(_PRIMARY_KEY, rows)


def sp_fkeys(_session: CatalogSession, _params: Sequence[Param]) -> Iterator[Event]:
    """Return no rows: foreign keys are not reported here."""
    yield from result(_FOREIGN_KEY, [])


def sp_statistics(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the table itself, then its indexes. Row counts are NULL."""
    values = arguments(params, (*_TABLE_PARAMETERS, "@index_name", "@is_unique", "@accuracy"))
    rows: list[Row] = []
    for table in _tables(session, values):
        prefix = (session.database, table.schema, table.name)
        rows.append((*prefix, None, None, None, _TABLE_STATISTICS, None, None, None, None, None, None))
        for index in _wanted_indexes(session, table, values):
            kind = _CLUSTERED if index.is_clustered else _OTHER
            rows += [
                (
                    *prefix, int(not index.is_unique), table.name, index.name, kind, position, column,
                    "D" if descending else "A", None, None, None,
                )
                for position, (column, descending) in enumerate(index.keys, 1)
            ]  # fmt: skip
    yield from result(_STATISTICS, rows)


def sp_special_columns(session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return the columns that best identify a row (@col_type R), or the rowversion column (V)."""
    values = arguments(params, (*_TABLE_PARAMETERS, "@col_type", "@scope", "@nullable", "@odbcver"))
    version = number(values, "@odbcver", 2)
    asks_version = (text(values, "@col_type") or "R").upper() == "V"
    scope = None if asks_version else _SCOPES.get((text(values, "@scope") or "T").upper(), 1)
    rows: list[Row] = []
    for table in _tables(session, values):
        named = {column.name: column for column in columns_of(session, table)}
        found = _row_versions(named) if asks_version else _best_key(session, table, named)
        rows += [_special(column, scope, version) for column in found]
    yield from result(_SPECIAL, rows)


def _tables(session: CatalogSession, values: Mapping[str, Value]) -> list[CatalogObject]:
    require_current_database(session, text(values, "@table_qualifier"))
    return tables(session, text(values, "@table_name"), text(values, "@table_owner"))


def _wanted_indexes(session: CatalogSession, table: CatalogObject, values: Mapping[str, Value]) -> list[CatalogIndex]:
    only_unique = (text(values, "@is_unique") or "N").strip().upper() == "Y"
    wanted = [
        index
        for index in indexes_of(session, table)
        if matches(index.name, text(values, "@index_name")) and (index.is_unique or not only_unique)
    ]
    return sorted(wanted, key=lambda index: (not index.is_unique, not index.is_clustered, index.name))


def _row_versions(named: Mapping[str, CatalogColumn]) -> list[CatalogColumn]:
    return [column for column in named.values() if column.type_name in ("timestamp", "rowversion")]


def _best_key(session: CatalogSession, table: CatalogObject, named: Mapping[str, CatalogColumn]) -> list[CatalogColumn]:
    unique = [index for index in indexes_of(session, table) if index.is_unique]
    best = min(unique, key=lambda index: (not index.is_primary_key, len(index.keys)), default=None)
    return [] if best is None else [named[column] for column, _ in best.keys]


def _special(column: CatalogColumn, scope: int | None, odbc_version: int) -> Row:
    size = column_size(column)
    type_name = size.odbc.type_name + (" identity" if column.is_identity else "")
    return (
        scope, column.name, data_type_for(size.odbc, odbc_version), type_name, size.precision, size.length, size.scale,
        _NOT_PSEUDO,
    )  # fmt: skip
