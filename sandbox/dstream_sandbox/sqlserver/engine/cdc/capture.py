"""Turns a committing transaction's change logs into rows of change tables and of cdc.lsn_time_mapping.

The rows are written in the commit itself and published up to the database's capture limit. There is no limit while
capture runs without a delay. A delay or a stopped capture job only sets the limit, so no changes are lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.engine.binder.closures import number_of
from dstream_sandbox.sqlserver.engine.cdc import lsn
from dstream_sandbox.sqlserver.engine.cdc.instances import CapturedColumn, CaptureInstance, system_table
from dstream_sandbox.sqlserver.engine.plans import Cache
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.rounding import to_datetime

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.database import Database
    from dstream_sandbox.sqlserver.engine.storage.table_files import Overlay
    from dstream_sandbox.sqlserver.engine.transactions import Transaction

_BITS = 60
_compiled: Cache[str] = Cache(500)


def capture_changes(
    transaction: Transaction,
    database: Database,
    connection: sqlite3.Connection,
    overlays: list[Overlay],
    position: int,
    now: int,
) -> None:
    """Write the change rows of a commit at log `position`, and its mapping row if it changed a tracked table."""
    if not database.options.cdc_enabled:
        return
    start_lsn = lsn.from_counter(position)
    captured = False
    for overlay in overlays:
        for instance in database.capture.of_source(overlay.table.id):
            keeps_lobs = database.keeps_unchanged_lobs
            key = (database.path, overlay.log, instance.table.id, database.version, keeps_lobs)
            sql = _compiled.obtain(key, partial(_capture_sql, overlay, instance, keeps_lobs))
            connection.execute(sql, {"lsn": start_lsn})
            captured = True
    if captured:
        transaction_id = transaction.id.to_bytes(6, "big")
        begin = lsn.from_counter(transaction.begin_position or position)
        add_mapping(connection, database, start_lsn, transaction.began, now, transaction_id, begin)


def add_mapping(
    connection: sqlite3.Connection,
    database: Database,
    start_lsn: bytes,
    began: int,
    ended: int,
    transaction_id: bytes,
    begin_lsn: bytes,
) -> None:
    """Add a row to cdc.lsn_time_mapping; idle rows have transaction id 0x00."""
    table = system_table(database, "lsn_time_mapping")
    values = (start_lsn, to_datetime(began), to_datetime(ended), transaction_id, begin_lsn)
    connection.execute(f"INSERT INTO {table.stored_name} VALUES (?,?,?,?,?)", values)


def _capture_sql(overlay: Overlay, instance: CaptureInstance, keeps_lobs: bool) -> str:
    """Return one INSERT that reads a change log: each change gives one row, an update two. k=0 is the before-image.

    Operations and images: Microsoft Learn, "cdc.<capture_instance>_CT". A change of a unique key (op 5) is a deferred
    update: delete and insert, the insert under the next command id (KB3030352; debezium/debezium#7728)."""
    stored = {c.id for c in overlay.table.stored_columns}
    wide = [c for c in instance.columns if not c.computed and c.source_id in stored]
    words = [wide[i : i + _BITS] for i in range(0, len(wide), _BITS)] or [[]]
    changed = [
        " | ".join(f"((o{c.source_id} IS NOT n{c.source_id})<<{i})" for i, c in enumerate(w)) or "0" for w in words
    ]
    masks = ", ".join(f"{sql} AS m{i}" for i, sql in enumerate(changed))
    some = " OR ".join(f"m{i}<>0" for i in range(len(words)))
    length = -(-len(instance.columns) // 8)
    full = number_of(("full_mask", len(instance.columns)), lambda: lambda: _full(len(instance.columns), length))
    ordinals = tuple(c.ordinal for c in wide)
    partial = number_of(("mask", ordinals, length), lambda: _masker(ordinals, length))
    mask = f"CASE WHEN op=4 THEN fn({partial},{','.join(f'm{i}' for i in range(len(words)))}) ELSE fn({full}) END"
    lsn_of = number_of("lsn_of", lambda: lsn.from_counter)
    cells = {
        "c1": ":lsn",
        "c2": "NULL",
        "c3": f"f1({lsn_of},n+CASE WHEN k=1 THEN coalesce(shift,0) ELSE 0 END)",
        "c4": "CASE WHEN op=4 THEN 3+k ELSE 1+k END",
        "c5": mask,
        f"c{instance.command_column}": "CASE WHEN op=5 THEN cmd+k ELSE cmd END",
    }
    bits = {c.source_id: (i // _BITS, i % _BITS) for i, c in enumerate(wide)}
    for column in instance.columns:
        bit = bits.get(column.source_id)
        cells[f"c{column.table_id}"] = "NULL" if bit is None else _image(column, bit, keeps_lobs)
    return (
        f"INSERT INTO t{instance.table.id}({','.join(cells)}) SELECT {','.join(cells.values())} "
        f"FROM (SELECT *, {masks} FROM {overlay.log}) CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1) "
        f"WHERE (op=2 AND k=1) OR (op=1 AND k=0) OR op=5 OR (op=4 AND ({some}))"
    )


def _image(column: CapturedColumn, bit: tuple[int, int], keeps_lobs: bool) -> str:
    """Return the SQL of a column's before- or after-image.

    Large values (Microsoft Learn, "cdc.<capture_instance>_CT", Large Object Data Types): text, ntext and image are NULL
    in operations 1 and 3; every LOB is NULL in 3 unless it changed. Operation 4: see platforms.py."""
    old, new = f"o{column.source_id}", f"n{column.source_id}"
    if not names.is_lob(column.type):
        return f"CASE k WHEN 0 THEN {old} ELSE {new} END"
    touched = f"(m{bit[0]}>>{bit[1]})&1"
    before = "NULL" if column.type.name in names.LEGACY_LOBS else f"CASE WHEN op<>4 OR {touched} THEN {old} END"
    after = new if keeps_lobs else f"CASE WHEN op<>4 OR {touched} THEN {new} END"
    return f"CASE k WHEN 0 THEN {before} ELSE {after} END"


def _full(columns: int, length: int) -> bytes:
    return ((1 << columns) - 1).to_bytes(length, "big")


def _masker(ordinals: tuple[int, ...], length: int) -> Callable[..., bytes]:
    """Return a function that builds an update mask: bit (ordinal - 1), counted from the lowest bit of the last byte."""
    straight = ordinals == tuple(range(1, len(ordinals) + 1))

    def mask(*words: int) -> bytes:
        value = 0
        for i, word in enumerate(words):
            value |= word << (i * _BITS)
        if not straight:
            value = sum(1 << (ordinal - 1) for i, ordinal in enumerate(ordinals) if value >> i & 1)
        return value.to_bytes(length, "big")

    return mask
