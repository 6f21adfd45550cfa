"""What differs between the products that speak T-SQL, as far as the sandbox emulates it.

Large values: Microsoft Learn, "cdc.<capture_instance>_CT", says that a before image (operation 3) is NULL unless the
value changed, but says nothing of the after image (4). On SQL Server 2025, a small value, which is stored in the row,
was measured to be there; Debezium takes NULL in either image as unchanged. Each platform has one of the two behaviors,
so that tests cover both. Which one a real server has does not depend on the platform.
"""

from __future__ import annotations

from dataclasses import dataclass

from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.version import PRODUCT_VERSION


@dataclass(frozen=True, slots=True)
class Platform:
    """`database_id_offset`: sys.databases.database_id minus DB_ID(). `missing`: views and tables that it does not have.
    `engine_edition`, `edition` and `version` are those of SERVERPROPERTY."""

    name: str
    database_id_offset: int = 0
    catalog_collation: str = names.DEFAULT_COLLATION
    missing: frozenset[str] = frozenset()
    keeps_unchanged_lobs: bool = False
    """Whether the after image of an update has large values that the update did not change."""
    recovers_sessions: bool = False
    """Whether drivers may reconnect a broken idle connection by themselves. SQL Server 2014 and later let them, too."""
    reads_other_databases: bool = True
    engine_edition: int = 3
    edition: str = "Developer Edition (64-bit)"
    version: str = PRODUCT_VERSION


SQL_SERVER = Platform("sql-server", missing=frozenset(["cdc.cdc_jobs"]))
"""The settings of the CDC jobs are in msdb.dbo.cdc_jobs."""

AZURE_SQL_DATABASE = Platform(
    "azure-sql-database",
    database_id_offset=100,
    catalog_collation="Latin1_General_100_CI_AS_KS_WS_SC",
    missing=frozenset(["sys.dm_server_services"]),
    keeps_unchanged_lobs=True,
    recovers_sessions=True,
    reads_other_databases=False,
    engine_edition=5,
    edition="SQL Azure",
    version="12.0.2000.8",
)
"""Microsoft Learn, "DB_ID (Transact-SQL)", Remarks: in Azure SQL Database, DB_ID may differ from
sys.databases.database_id. "CREATE DATABASE (Azure SQL Database)", CATALOG_COLLATION: the collation of metadata can
differ from the database's. "SERVERPROPERTY": EngineEdition. "Change data capture with Azure SQL Database": the settings
of the jobs are in cdc.cdc_jobs."""

PLATFORMS = {platform.name: platform for platform in (SQL_SERVER, AZURE_SQL_DATABASE)}
