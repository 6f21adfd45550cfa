"""Capture instances: the tables of schema cdc, and the engine's copy of them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog.model import Column, Index, Table
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.names import make_type
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database

_TEXT = SqlType("nvarchar", 4000, collation=names.DEFAULT_COLLATION)
_ID = SqlType("varbinary", 10)
_MASK = SqlType("varbinary", 128)

SYSTEM_TABLES: dict[str, tuple[tuple[str, SqlType, bool], ...]] = {
    "change_tables": (
        ("object_id", names.INT, False),
        ("version", names.INT, True),
        ("source_object_id", names.INT, True),
        ("capture_instance", names.SYSNAME, False),
        ("start_lsn", names.LSN, True),
        ("end_lsn", names.LSN, True),
        ("supports_net_changes", names.BIT, True),
        ("has_drop_pending", names.BIT, True),
        ("role_name", names.SYSNAME, True),
        ("index_name", names.SYSNAME, True),
        ("filegroup_name", names.SYSNAME, True),
        ("create_date", names.DATETIME, True),
        ("partition_switch", names.BIT, False),
    ),
    "captured_columns": (
        ("object_id", names.INT, False),
        ("column_name", names.SYSNAME, False),
        ("column_id", names.INT, True),
        ("column_type", names.SYSNAME, False),
        ("column_ordinal", names.INT, False),
        ("is_computed", names.BIT, True),
        ("masking_function", _TEXT, True),
    ),
    "index_columns": (
        ("object_id", names.INT, False),
        ("column_name", names.SYSNAME, False),
        ("index_ordinal", names.TINYINT, False),
        ("column_id", names.INT, False),
    ),
    "ddl_history": (
        ("source_object_id", names.INT, True),
        ("object_id", names.INT, False),
        ("required_column_update", names.BIT, True),
        ("ddl_command", names.NVARCHAR_MAX, True),
        ("ddl_lsn", names.LSN, False),
        ("ddl_time", names.DATETIME, True),
    ),
    "lsn_time_mapping": (
        ("start_lsn", names.LSN, False),
        ("tran_begin_time", names.DATETIME, True),
        ("tran_end_time", names.DATETIME, True),
        ("tran_id", _ID, True),
        ("tran_begin_lsn", names.LSN, True),
    ),
    "cdc_jobs": (
        ("database_id", names.INT, False),
        ("job_type", make_type("nvarchar", ("20",)), False),
        ("job_id", names.GUID, True),
        ("maxtrans", names.INT, True),
        ("maxscans", names.INT, True),
        ("continuous", names.BIT, True),
        ("pollinginterval", names.BIGINT, True),
        ("retention", names.BIGINT, True),
        ("threshold", names.BIGINT, True),
    ),
}
"""Columns of the tables that sys.sp_cdc_enable_db creates (Microsoft Learn, "Change data capture tables
(Transact-SQL)"). cdc_jobs is msdb.dbo.cdc_jobs on SQL Server and cdc.cdc_jobs on Azure SQL Database."""

START_LSN, END_LSN, SEQVAL, OPERATION, UPDATE_MASK = 1, 2, 3, 4, 5
"""Column ids of a change table's control columns. Captured columns follow; __$command_id is last."""


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    ordinal: int
    source_id: int
    """Column id in the source table."""
    name: str
    type: SqlType
    table_id: int
    """Column id in the change table."""
    computed: bool = False


@dataclass(slots=True)
class CaptureInstance:
    name: str
    table: Table
    """The change table."""
    source_id: int
    columns: tuple[CapturedColumn, ...]
    key: tuple[str, ...] = ()
    supports_net_changes: bool = False
    role: str | None = None
    index_name: str | None = None
    created: int = 0

    @property
    def command_column(self) -> int:
        return self.table.columns[-1].id


@dataclass(slots=True)
class CaptureCatalog:
    """All instances of a database, by source table and by name."""

    instances: dict[str, CaptureInstance] = field(default_factory=dict)

    def of_source(self, table_id: int) -> list[CaptureInstance]:
        return [i for i in self.instances.values() if i.source_id == table_id]

    def named(self, name: str) -> CaptureInstance | None:
        return self.instances.get(name.lower())


def system_table(database: Database, name: str) -> Table:
    """Return one of SYSTEM_TABLES; CDC must be enabled."""
    found = database.find("cdc", name)
    assert isinstance(found, Table)
    return found


def new_system_table(object_id: int, name: str, now: int) -> Table:
    columns = [Column(i, n, t, nullable) for i, (n, t, nullable) in enumerate(SYSTEM_TABLES[name], 1)]
    keys = {"change_tables": (1,), "captured_columns": (1, 5), "index_columns": (1, 3), "lsn_time_mapping": (1,)}
    indexes = []
    if name in keys:
        key = tuple((c, False) for c in keys[name])
        indexes = [Index(1, f"{name}_clustered_idx", key, unique=True, clustered=True)]
    return Table(
        object_id,
        "cdc",
        name,
        columns,
        indexes,
        created=now,
        modified=now,
        system=True,
        next_column_id=len(columns) + 1,
    )


def create_system_table_sql(table: Table) -> list[str]:
    columns = ", ".join(f"c{c.id}" for c in table.columns)
    statements = [f"CREATE TABLE t{table.id} ({columns})"]
    statements += [
        f"CREATE UNIQUE INDEX i{table.id}_{i.id} ON t{table.id} ({', '.join(f'c{c}' for c, _ in i.columns)})"
        for i in table.indexes
    ]
    return statements


def new_change_table(object_id: int, instance: str, captured: list[tuple[str, SqlType]], now: int) -> Table:
    """Define cdc.<instance>_CT: control columns, captured columns, and __$command_id last, where sys.sp_cdc_vupgrade
    adds it."""
    columns = [
        Column(START_LSN, "__$start_lsn", names.LSN, False),
        Column(END_LSN, "__$end_lsn", names.LSN),
        Column(SEQVAL, "__$seqval", names.LSN, False),
        Column(OPERATION, "__$operation", names.INT, False),
        Column(UPDATE_MASK, "__$update_mask", _MASK),
    ]
    for name, type_ in captured:
        columns.append(Column(len(columns) + 1, name, type_))
    columns.append(Column(len(columns) + 1, "__$command_id", names.INT))
    key = ((START_LSN, False), (columns[-1].id, False), (SEQVAL, False), (OPERATION, False))
    index = Index(1, f"{instance}_CT_clustered_idx", key, unique=True, clustered=True)
    return Table(
        object_id,
        "cdc",
        f"{instance}_CT",
        columns,
        [index],
        created=now,
        modified=now,
        system=True,
        next_column_id=len(columns) + 1,
    )


def create_change_table_sql(table: Table) -> str:
    """Return SQL that stores the table in the order of its clustered key, so that reading a page is a seek."""
    columns = ", ".join(f"c{c.id}" for c in table.columns)
    key = ", ".join(f"c{c}" for c, _ in table.indexes[0].columns)
    return f"CREATE TABLE t{table.id} ({columns}, PRIMARY KEY ({key})) WITHOUT ROWID"
