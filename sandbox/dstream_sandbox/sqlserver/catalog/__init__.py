"""Catalog procedures that drivers' metadata calls use (SQLColumns, getTables, ..), built on the session's sys views.

The engine calls them from `Session.call`, and for EXEC, when the procedure's bare name in lower case is a key of
`CATALOG_PROCEDURES`. They raise SqlError for bad arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.sqlserver.catalog.datatype_info import sp_datatype_info
from dstream_sandbox.sqlserver.catalog.results import CatalogProcedure

__all__ = ["CATALOG_PROCEDURES", "CatalogProcedure"]

CATALOG_PROCEDURES: Mapping[str, CatalogProcedure] = {
    "sp_datatype_info": sp_datatype_info,
    "sp_datatype_info_100": sp_datatype_info,
}
