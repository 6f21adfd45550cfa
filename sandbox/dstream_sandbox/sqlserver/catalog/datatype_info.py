"""sp_datatype_info and sp_datatype_info_100, from which drivers learn type limits on connect, e.g. of varchar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_sandbox.sqlserver.catalog.odbc_types import ODBC_TYPES, OdbcType, data_type_for
from dstream_sandbox.sqlserver.catalog.results import (
    INT,
    SMALLINT,
    SYSNAME,
    CatalogSession,
    arguments,
    columns,
    number,
    result,
)
from dstream_sandbox.sqlserver.session import Event, Param
from dstream_sandbox.sqlserver.values import Row, SqlType

_VARCHAR_32 = SqlType("varchar", 32)
_HEAD = columns(
    ("TYPE_NAME", SYSNAME),
    ("DATA_TYPE", SMALLINT),
    ("PRECISION", INT),
    ("LITERAL_PREFIX", _VARCHAR_32),
    ("LITERAL_SUFFIX", _VARCHAR_32),
    ("CREATE_PARAMS", _VARCHAR_32),
    ("NULLABLE", SMALLINT),
    ("CASE_SENSITIVE", SMALLINT),
    ("SEARCHABLE", SMALLINT),
    ("UNSIGNED_ATTRIBUTE", SMALLINT),
    ("MONEY", SMALLINT),
    ("AUTO_INCREMENT", SMALLINT),
    ("LOCAL_TYPE_NAME", SYSNAME),
    ("MINIMUM_SCALE", SMALLINT),
    ("MAXIMUM_SCALE", SMALLINT),
    ("SQL_DATA_TYPE", SMALLINT),
    ("SQL_DATETIME_SUB", SMALLINT),
    ("NUM_PREC_RADIX", INT),
    ("INTERVAL_PRECISION", SMALLINT),
    ("USERTYPE", SMALLINT),
)


def sp_datatype_info(_: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return all types, or those with one ODBC code."""
    values = arguments(params, ("@data_type", "@odbcver"))
    wanted, version = number(values, "@data_type", 0), number(values, "@odbcver", 2)
    rows = [_row(odbc_type, version) for odbc_type in ODBC_TYPES]
    yield from result(_HEAD, [row for row in rows if wanted in (0, row[1])])


def _row(t: OdbcType, odbc_version: int) -> Row:
    return (
        t.type_name, data_type_for(t, odbc_version), t.precision, t.literal_prefix, t.literal_suffix, t.create_params,
        t.nullable, t.case_sensitive, t.searchable, t.unsigned_attribute, t.money, t.auto_increment, t.type_name,
        t.minimum_scale, t.maximum_scale, t.sql_data_type, t.datetime_sub, t.radix, None, t.user_type,
    )  # fmt: skip
