"""sp_databases and sp_server_info."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dstream_sandbox.sqlserver.catalog.results import INT, SYSNAME, CatalogSession, arguments, columns, query, result
from dstream_sandbox.sqlserver.session import Event, Param
from dstream_sandbox.sqlserver.values import SqlType

_DATABASES = columns(("DATABASE_NAME", SYSNAME), ("DATABASE_SIZE", INT), ("REMARKS", SqlType("varchar", 254)))
_SERVER_INFO = columns(
    ("ATTRIBUTE_ID", INT), ("ATTRIBUTE_NAME", SqlType("varchar", 60)), ("ATTRIBUTE_VALUE", SqlType("varchar", 255))
)
# Microsoft Learn, "sp_server_info"
_ATTRIBUTES = (
    (1, "DBMS_NAME", "Microsoft SQL Server"),
    (10, "OWNER_TERM", "owner"),
    (11, "TABLE_TERM", "table"),
    (12, "MAX_OWNER_NAME_LENGTH", "128"),
    (13, "TABLE_LENGTH", "128"),
    (14, "MAX_QUAL_LENGTH", "128"),
    (15, "COLUMN_LENGTH", "128"),
    (16, "IDENTIFIER_CASE", "MIXED"),
    (17, "TX_ISOLATION", "2"),
    (18, "COLLATION_SEQ", "charset=iso_1 sort_order=nocase_iso charset_num=1 sort_order_num=52"),
    (19, "SAVEPOINT_SUPPORT", "Y"),
    (20, "MULTI_RESULT_SETS", "Y"),
    (22, "ACCESSIBLE_TABLES", "Y"),
    (100, "USERID_LENGTH", "128"),
    (101, "QUALIFIER_TERM", "database"),
    (102, "NAMED_TRANSACTIONS", "Y"),
    (103, "SPROC_AS_LANGUAGE", "Y"),
    (104, "ACCESSIBLE_SPROC", "Y"),
    (105, "MAX_INDEX_COLS", "16"),
    (106, "RENAME_TABLE", "Y"),
    (107, "RENAME_COLUMN", "Y"),
    (108, "DROP_COLUMN", "Y"),
    (109, "INCREASE_COLUMN_LENGTH", "Y"),
    (110, "DDL_IN_TRANSACTION", "Y"),
    (111, "DESCENDING_INDEXES", "Y"),
    (112, "SP_RENAME", "Y"),
    (113, "REMOTE_SPROC", "N"),
)


def sp_databases(session: CatalogSession, _params: Sequence[Param]) -> Iterator[Event]:
    """Return the databases. Their sizes are NULL."""
    rows = query(session, "SELECT name FROM sys.databases ORDER BY name")
    yield from result(_DATABASES, [(row[0], None, None) for row in rows])


def sp_server_info(_session: CatalogSession, params: Sequence[Param]) -> Iterator[Event]:
    """Return all attributes, or one."""
    wanted = arguments(params, ("@attribute_id",)).get("@attribute_id")
    yield from result(_SERVER_INFO, [row for row in _ATTRIBUTES if wanted is None or row[0] == wanted])
