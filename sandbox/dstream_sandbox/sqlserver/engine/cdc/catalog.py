"""Creates, loads and drops capture instances; keeps the tables of schema cdc and their copy in memory in sync."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.catalog.model import Table
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.capture import add_mapping
from dstream_sandbox.sqlserver.engine.cdc.instances import (
    SYSTEM_TABLES,
    CapturedColumn,
    CaptureInstance,
    create_change_table_sql,
    create_system_table_sql,
    new_change_table,
    new_system_table,
    system_table,
)
from dstream_sandbox.sqlserver.engine.types.names import declaration
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.session import SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database

_FIRST_CAPTURED = 6


def enable_database(database: Database, now: int) -> None:
    """sys.sp_cdc_enable_db."""
    with database.writing() as connection:
        if "cdc" not in database.schemas:
            database.create_schema(connection, "cdc")
        for name in SYSTEM_TABLES:
            table = new_system_table(database.new_object_id(), name, now)
            for statement in create_system_table_sql(table):
                connection.execute(statement)
            database.store(connection, table)
        database.options.cdc_enabled = True
        for kind in _JOB_DEFAULTS:
            add_job(database, connection, kind)
        database.store_options(connection)
        refilter(database)


_JOB_DEFAULTS = {"capture": (500, 10, 1, 5, 0, 0), "cleanup": (0, 0, 0, 0, 4320, 5000)}
"""Microsoft Learn, "sys.sp_cdc_add_job (Transact-SQL)"."""


def add_job(database: Database, connection: sqlite3.Connection, kind: str) -> None:
    """Add a row to cdc_jobs. Raises 14261 if the job exists."""
    if has_job(database, kind):
        raise SqlError(14261, f"The specified @name ('cdc.{database.name}_{kind}') already exists.")
    jobs = system_table(database, "cdc_jobs")
    job_id = _job_id(database, 1 + list(_JOB_DEFAULTS).index(kind))
    values = (database.database_id, kind, job_id, *_JOB_DEFAULTS[kind])
    connection.execute(f"INSERT INTO t{jobs.id} VALUES ({','.join('?' * 9)})", values)


def drop_job(database: Database, connection: sqlite3.Connection, kind: str) -> None:
    connection.execute(f"DELETE FROM t{system_table(database, 'cdc_jobs').id} WHERE c2=?", (kind,))


def has_job(database: Database, kind: str) -> bool:
    """Whether the job exists. After a failover of an availability group, a new primary has no jobs until they are added
    (Microsoft Learn, "Replication, change tracking, and change data capture with availability groups")."""
    if not database.options.cdc_enabled:
        return False
    with database.commit_lock:
        query = f"SELECT 1 FROM t{system_table(database, 'cdc_jobs').id} WHERE c2=?"
        return database.admin.execute(query, (kind,)).fetchone() is not None


def is_job_enabled(database: Database, kind: str) -> bool:
    """sysjobs.enabled, as set with sp_update_job. It is only stored and shown."""
    with database.commit_lock:
        query = "SELECT 1 FROM meta WHERE kind='job_disabled' AND body=?"
        return database.admin.execute(query, (kind,)).fetchone() is None


def enable_job(database: Database, kind: str, *, enabled: bool) -> None:
    with database.writing() as connection:
        connection.execute("DELETE FROM meta WHERE kind='job_disabled' AND body=?", (kind,))
        if not enabled:
            values = ("job_disabled", list(_JOB_DEFAULTS).index(kind), kind)
            connection.execute("INSERT INTO meta VALUES (?,?,?)", values)


def _job_id(database: Database, which: int) -> bytes:
    import uuid

    from dstream_sandbox.sqlserver.engine.types.storage import pack_guid

    return pack_guid(uuid.uuid5(uuid.NAMESPACE_OID, f"{database.options.service_broker_guid}/{which}"))


def disable_database(database: Database) -> None:
    """sys.sp_cdc_disable_db: drop every instance and the system tables of schema cdc."""
    with database.writing() as connection:
        for instance in list(database.capture.instances.values()):
            drop_instance(database, connection, instance)
        for name in SYSTEM_TABLES:
            database.drop(connection, system_table(database, name))
        if not any(t.schema == "cdc" for t in database.tables.values()):
            database.drop_schema(connection, "cdc")
        database.options.cdc_enabled = False
        database.store_options(connection)
        database.capture_limit = None


def create_instance(
    database: Database,
    source: Table,
    name: str,
    *,
    role: str | None,
    index_name: str | None,
    key: list[str],
    columns: list[str],
    net_changes: bool,
    now: int,
) -> CaptureInstance:
    """Create a change table and its rows in cdc.change_tables, captured_columns and index_columns. Its start_lsn is a
    new log position that is in the time mapping, so that max_lsn reaches it."""
    chosen = [c for c in source.columns if c.name.lower() in {n.lower() for n in columns}]
    with database.writing() as connection:
        table = new_change_table(database.new_object_id(), name, [(c.name, c.type) for c in chosen], now)
        connection.execute(create_change_table_sql(table))
        for source_column, column in zip(chosen, table.columns[_FIRST_CAPTURED - 1 :], strict=False):
            column.mask = source_column.mask  # sys.sp_cdc_vupgrade adds the source's masks to change tables, too.
        table.filter = ""
        database.store(connection, table)
        position = lsn.from_counter(database.log.take())
        instances = system_table(database, "change_tables")
        values = (
            table.id, 0, source.id, name, position, None, int(net_changes), 0, role, index_name, None,
            to_datetime(now), 1,
        )  # fmt: skip
        connection.execute(f"INSERT INTO t{instances.id} VALUES ({','.join('?' * 13)})", values)
        captured = system_table(database, "captured_columns")
        for ordinal, column in enumerate(chosen, 1):
            type_name = declaration(column.type).split("(")[0]
            row = (
                table.id,
                column.name,
                column.id,
                type_name,
                ordinal,
                int(column.computed is not None),
                column.mask or None,
            )
            connection.execute(f"INSERT INTO t{captured.id} VALUES (?,?,?,?,?,?,?)", row)
        index_columns = system_table(database, "index_columns")
        for ordinal, column_name in enumerate(key, 1):
            found = source.column(column_name)
            assert found is not None
            connection.execute(
                f"INSERT INTO t{index_columns.id} VALUES (?,?,?,?)", (table.id, found.name, ordinal, found.id)
            )
        add_mapping(connection, database, position, now, now, b"\0", position)
        database.version += 1
        reload(database, connection)
        refilter(database)
    found_instance = database.capture.named(name)
    assert found_instance is not None
    return found_instance


def drop_instance(database: Database, connection: sqlite3.Connection, instance: CaptureInstance) -> None:
    table_id = instance.table.id
    for name, column in (("change_tables", 1), ("captured_columns", 1), ("index_columns", 1), ("ddl_history", 2)):
        connection.execute(f"DELETE FROM t{system_table(database, name).id} WHERE c{column}=?", (table_id,))
    database.drop(connection, instance.table)
    reload(database, connection)


def reload(database: Database, connection: sqlite3.Connection) -> None:
    """Load the instances into memory from the tables of schema cdc."""
    instances: dict[str, CaptureInstance] = {}
    if database.options.cdc_enabled or isinstance(database.find("cdc", "change_tables"), Table):
        rows = connection.execute(
            f"SELECT c1,c3,c4,c7,c9,c10,c12 FROM t{system_table(database, 'change_tables').id} ORDER BY c12, c1"
        ).fetchall()
        for object_id, source_id, name, net, role, index_name, created in rows:
            table = database.tables[object_id]
            columns = _captured(database, connection, table)
            key = tuple(
                n
                for (n,) in connection.execute(
                    f"SELECT c2 FROM t{system_table(database, 'index_columns').id} WHERE c1=? ORDER BY c3", (object_id,)
                )
            )
            instances[name.lower()] = CaptureInstance(
                name, table, source_id, columns, key, bool(net), role, index_name, created
            )
    database.capture.instances = instances


def _captured(database: Database, connection: sqlite3.Connection, table: Table) -> tuple[CapturedColumn, ...]:
    rows = connection.execute(
        f"SELECT c2,c3,c5,c6 FROM t{system_table(database, 'captured_columns').id} WHERE c1=? ORDER BY c5", (table.id,)
    ).fetchall()
    source = [
        CapturedColumn(
            ordinal,
            column_id,
            name,
            table.column_by_id(_FIRST_CAPTURED - 1 + ordinal).type,
            _FIRST_CAPTURED - 1 + ordinal,
            bool(computed),
        )
        for name, column_id, ordinal, computed in rows
    ]
    return tuple(source)


def refilter(database: Database) -> None:
    """Hide rows above the capture limit in change tables, in the time mapping, and in the DDL history, which capture
    fills when it reads the log ("sys.sp_cdc_get_ddl_history", Remarks)."""
    condition = "" if database.capture_limit is None else "c1<=(SELECT capture_limit FROM main.state)"
    for instance in database.capture.instances.values():
        instance.table.filter = condition
    if database.options.cdc_enabled:
        system_table(database, "lsn_time_mapping").filter = condition
        system_table(database, "ddl_history").filter = condition.replace("c1", "c5", 1)
    database.version += 1
