"""How changes of a tracked table's definition affect its capture instances (Microsoft Learn, "About change data
capture", Handling changes to source tables)."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine import clock
from dstream_sandbox.sqlserver.engine.binder.casts import cast_sql
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.catalog.model import Column, Table
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.instances import CaptureInstance, system_table
from dstream_sandbox.sqlserver.engine.types.names import declaration
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database


def note_definition(
    database: Database,
    connection: sqlite3.Connection,
    before: Table,
    after: Table,
    retyped: Column | None,
    command: str,
) -> None:
    """ALTER TABLE: add a row to cdc.ddl_history for each instance. A new type of a captured column alters the change
    table's column in place; a dropped column is NULL from then on; a new column is not captured."""
    for instance in database.capture.of_source(before.id):
        captured = next((c for c in instance.columns if retyped is not None and c.source_id == retyped.id), None)
        if captured is not None and retyped is not None:
            _retype(database, connection, instance, captured.table_id, retyped)
        _history(database, connection, before.id, instance, captured is not None, command)
    if database.capture.of_source(before.id):
        from dstream_sandbox.sqlserver.engine.cdc.catalog import reload

        reload(database, connection)


def _retype(
    database: Database, connection: sqlite3.Connection, instance: CaptureInstance, column_id: int, retyped: Column
) -> None:
    table = instance.table
    column = table.column_by_id(column_id)
    sql = cast_sql(Ex(f"c{column_id}", column.type), retyped.type)
    if sql != f"c{column_id}":
        connection.execute(f"UPDATE t{table.id} SET c{column_id}={sql} WHERE c{column_id} IS NOT NULL")
    column.type = retyped.type
    table.modified = clock.now_ticks()
    database.store(connection, table)
    captured = system_table(database, "captured_columns")
    connection.execute(
        f"UPDATE t{captured.id} SET c4=? WHERE c1=? AND c2=?",
        (declaration(retyped.type).split("(")[0], table.id, column.name),
    )


def _history(
    database: Database,
    connection: sqlite3.Connection,
    source_id: int,
    instance: CaptureInstance,
    altered: bool,
    command: str,
) -> None:
    history = system_table(database, "ddl_history")
    position = lsn.from_counter(database.log.take())
    values = (source_id, instance.table.id, int(altered), command, position, to_datetime(clock.now_ticks()))
    connection.execute(f"INSERT INTO t{history.id} VALUES (?,?,?,?,?,?)", values)


def drop_tracked(database: Database, connection: sqlite3.Connection, source: Table) -> None:
    """DROP TABLE drops the table's capture instances."""
    from dstream_sandbox.sqlserver.engine.cdc.catalog import drop_instance

    for instance in database.capture.of_source(source.id):
        drop_instance(database, connection, instance)
