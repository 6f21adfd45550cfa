"""Cleanup of change tables: first the low watermark moves, then the rows below it are deleted (Microsoft Learn,
"sys.sp_cdc_cleanup_change_table")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.instances import CaptureInstance, system_table
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime
from dstream_sandbox.sqlserver.session import SqlError
from dstream_sandbox.sqlserver.values import TICKS_PER_SECOND

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database

_TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND


def cleanup(database: Database, instance: CaptureInstance, watermark: bytes | None, threshold: int) -> None:
    """Move the instance's start_lsn to `watermark` (NULL: leave it), then delete the rows below it, `threshold` rows at
    a time. Raises 22964 if the watermark is not a start_lsn in the time mapping."""
    instances = system_table(database, "change_tables")
    mapping = system_table(database, "lsn_time_mapping")
    if watermark is not None:
        with database.writing() as connection:
            known = connection.execute(f"SELECT 1 FROM t{mapping.id} WHERE c1=?", (watermark,)).fetchone()
            if known is None:
                text = (
                    f"LSN {_shown(watermark)}, specified as the new low endpoint for the change table "
                    "associated with capture instance "
                    f"'{instance.name}', is not an LSN value that appears as the start_lsn of an entry in "
                    "cdc.lsn_time_mapping."
                )
                raise SqlError(22964, text)
            connection.execute(
                f"UPDATE t{instances.id} SET c5=? WHERE c1=? AND c5<?", (watermark, instance.table.id, watermark)
            )
    with database.writing() as connection:
        (low,) = connection.execute(f"SELECT c5 FROM t{instances.id} WHERE c1=?", (instance.table.id,)).fetchone()
    _delete_below(database, instance, low, max(threshold, 1))
    with database.writing() as connection:
        lowest = connection.execute(f"SELECT min(c5) FROM t{instances.id}").fetchone()[0] or lsn.ZERO
        connection.execute(f"DELETE FROM t{mapping.id} WHERE c1<?", (lowest,))


def _delete_below(database: Database, instance: CaptureInstance, low: bytes, threshold: int) -> None:
    table = instance.table
    key = ", ".join(f"c{c}" for c, _ in table.indexes[0].columns)
    sql = f"DELETE FROM t{table.id} WHERE ({key}) IN (SELECT {key} FROM t{table.id} WHERE c1<? ORDER BY {key} LIMIT ?)"
    while True:
        with database.writing() as connection:
            if connection.execute(sql, (low, threshold)).rowcount < threshold:
                return


def _shown(value: bytes) -> str:
    text = value.hex()
    return f"{text[:8]}:{text[8:16]}:{text[16:]}"


def run_retention(database: Database, now: int) -> None:
    """Do the cleanup job's work: delete everything older than its retention."""
    if not database.options.cdc_enabled:
        return
    jobs, mapping = system_table(database, "cdc_jobs"), system_table(database, "lsn_time_mapping")
    with database.writing() as connection:
        (retention, threshold) = connection.execute(f"SELECT c8, c9 FROM t{jobs.id} WHERE c2='cleanup'").fetchone()
        oldest = to_datetime(now - retention * _TICKS_PER_MINUTE)
        (watermark,) = connection.execute(f"SELECT min(c1) FROM t{mapping.id} WHERE c3>=?", (oldest,)).fetchone()
    if watermark is None:
        return
    for instance in list(database.capture.instances.values()):
        cleanup(database, instance, watermark, threshold)
