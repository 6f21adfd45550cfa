"""Catalog procedures behind drivers' metadata calls (SQLColumns, getTables, ...), built on the session's sys views.

The engine calls them from `Session.call`, and for EXEC, if the procedure's bare name in lower case is a key of
`CATALOG_PROCEDURES`. They raise SqlError for invalid arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.sqlserver.catalog.datatype_info import sp_datatype_info
from dstream_sandbox.sqlserver.catalog.describe import (
    sp_describe_first_result_set,
    sp_describe_undeclared_parameters,
)
from dstream_sandbox.sqlserver.catalog.keys import sp_fkeys, sp_pkeys, sp_special_columns, sp_statistics
from dstream_sandbox.sqlserver.catalog.results import CatalogProcedure
from dstream_sandbox.sqlserver.catalog.server_info import sp_databases, sp_server_info
from dstream_sandbox.sqlserver.catalog.stored_procedures import sp_sproc_columns, sp_stored_procedures
from dstream_sandbox.sqlserver.catalog.table_columns import sp_columns, sp_columns_100
from dstream_sandbox.sqlserver.catalog.tables import sp_tables

__all__ = ["CATALOG_PROCEDURES", "CatalogProcedure"]

CATALOG_PROCEDURES: Mapping[str, CatalogProcedure] = {
    "sp_columns": sp_columns,
    "sp_columns_100": sp_columns_100,
    "sp_databases": sp_databases,
    "sp_datatype_info": sp_datatype_info,
    "sp_datatype_info_100": sp_datatype_info,
    "sp_describe_first_result_set": sp_describe_first_result_set,
    "sp_describe_undeclared_parameters": sp_describe_undeclared_parameters,
    "sp_fkeys": sp_fkeys,
    "sp_pkeys": sp_pkeys,
    "sp_server_info": sp_server_info,
    "sp_special_columns": sp_special_columns,
    "sp_special_columns_100": sp_special_columns,
    "sp_sproc_columns": sp_sproc_columns,
    "sp_sproc_columns_100": sp_sproc_columns,
    "sp_statistics": sp_statistics,
    "sp_statistics_100": sp_statistics,
    "sp_stored_procedures": sp_stored_procedures,
    "sp_tables": sp_tables,
}
