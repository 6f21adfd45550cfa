"""What differs between the products that speak T-SQL, as far as the sandbox emulates it."""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.engine.types import names


@dataclass(frozen=True, slots=True)
class Platform:
    """`database_id_offset`: sys.databases.database_id minus DB_ID()."""

    name: str
    database_id_offset: int = 0
    catalog_collation: str = names.DEFAULT_COLLATION


SQL_SERVER = Platform("sql-server")

AZURE_SQL_DATABASE = Platform(
    "azure-sql-database", database_id_offset=100, catalog_collation="Latin1_General_100_CI_AS_KS_WS_SC"
)
"""Microsoft Learn, "DB_ID (Transact-SQL)", Remarks: in Azure SQL Database, DB_ID may differ from
sys.databases.database_id. "CREATE DATABASE (Azure SQL Database)", CATALOG_COLLATION: the collation of metadata can
differ from the database's."""

PLATFORMS = {platform.name: platform for platform in (SQL_SERVER, AZURE_SQL_DATABASE)}
