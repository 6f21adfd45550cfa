"""Where a run starts reading: after its checkpoint, or at `start_from`. Pure except for queries to the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from dstream.sdk.errors import ConfigError, RefusedError
from dstream_mssql_cdc.catalog.instances import CapturedTable, Watermark, observe
from dstream_mssql_cdc.config import Start
from dstream_mssql_cdc.position import ZERO_LSN, Position, increment_lsn
from dstream_mssql_cdc.snapshot.plan import NewId, known_lsn, random_id, with_snapshots
from dstream_mssql_cdc.state import Database, ReaderState, Table, stored_position


class Clock(Protocol):
    """Looks up LSNs in the server."""

    def max_lsn(self) -> bytes | None: ...
    def lsn_at(self, time: str) -> bytes | None: ...
    def tran_id_at(self, lsn: bytes) -> bytes | None: ...
    def cdc_offsets(self) -> Sequence[tuple[str, bytes | None]] | None: ...


def first_state(
    start: Start, guid: str, captured: Sequence[CapturedTable], clock: Clock, new_id: NewId = random_id
) -> ReaderState:
    """The initial state without a checkpoint. Raises ConfigError, RefusedError."""
    if start.kind == "cdc_offsets":
        return _after_the_original(guid, captured, clock)
    position = _first_position(start, captured, clock)
    tables = observe({}, captured, position)
    if start.kind == "snapshot":
        tables = with_snapshots(tables, tables.keys(), position.lsn, new_id)
    return ReaderState(Database(guid), stored_position(position), None, tables)


def checked_state(
    state: ReaderState, guid: str, captured: Sequence[CapturedTable], clock: Clock, *, accept_changed: bool
) -> ReaderState:
    """The state of the checkpoint. Raises RefusedError if it belongs to another database, unless `accept_changed`."""
    marks = {instance.mark.instance: instance.mark for table in captured for instance in table.instances}
    if state.db.service_broker_guid != guid and _is_same_database(state, marks, clock):
        state = msgspec.structs.replace(state, db=state.db.with_guid(guid))
    is_same = state.db.service_broker_guid == guid
    if not accept_changed:
        if not is_same:
            raise another_database(state.db.service_broker_guid, guid)
        return state
    tables = {name: table for name, table in state.tables.items() if _is_same(table, marks)}
    if is_same:
        return msgspec.structs.replace(state, tables=tables)
    return msgspec.structs.replace(state, db=Database(guid), tables=tables, tran_id=None)


def _is_same_database(state: ReaderState, marks: Mapping[str, Watermark], clock: Clock) -> bool:
    """Whether only the GUID is different. "ALTER DATABASE SET options": NEW_BROKER, a usual repair of Service Broker,
    replaces it. The change tables and the transaction at the position are rows of the database: they stay."""
    if state.tran_id is None or not state.tables:
        return False
    tran_id = clock.tran_id_at(state.position.lsn)
    return (
        tran_id is not None
        and tran_id.hex() == state.tran_id
        and all(_is_same(table, marks) for table in state.tables.values())
    )


def another_database(known: str, found: str) -> RefusedError:
    return RefusedError(
        "mssql.another_database",
        f"the checkpoint belongs to another database: its service_broker_guid is {known}, this one's is {found}",
        hint="Check the server and database. If this is the same data after a failover or a move, set "
        "accept_changed_source = true; otherwise start over with `--reset --from POSITION`.",
        config_path="db_connection_string",
    )


def _first_position(start: Start, captured: Sequence[CapturedTable], clock: Clock) -> Position:
    max_lsn = clock.max_lsn() or ZERO_LSN
    starts = [
        instance.mark.start_lsn
        for table in captured
        for instance in table.instances
        if instance.mark.start_lsn is not None
    ]
    earliest = min(starts, default=ZERO_LSN)
    if start.kind == "earliest":
        return min(Position.before(earliest), Position.end_of(max_lsn))
    if start.kind == "snapshot":
        marks = [instance.mark for table in captured for instance in table.instances]
        return Position.end_of(known_lsn(max_lsn, marks))
    if start.kind == "latest":
        return Position.end_of(max_lsn)
    if start.kind == "time":
        lsn = clock.lsn_at(start.time)
        return Position.end_of(max_lsn) if lsn is None else Position.before(lsn)
    if start.lsn > increment_lsn(max_lsn):
        raise ConfigError(
            "mssql.start_from",
            f"LSN {start.lsn.hex()} is later than the last captured LSN, {max_lsn.hex()}",
            hint='Use start_from = "latest".',
            config_path="start_from",
        )
    if start.lsn < earliest:
        raise RefusedError(
            "mssql.gap",
            f"LSN {start.lsn.hex()} is older than the change tables, which begin at {earliest.hex()}",
            hint='Use start_from = "earliest" to read the remaining changes.',
            config_path="start_from",
        )
    return Position.before(start.lsn)


def _after_the_original(guid: str, captured: Sequence[CapturedTable], clock: Clock) -> ReaderState:
    """The state that continues each table where the original DStream left it.

    The original reads tables of dbo only. It stores one LSN per table, which may be in the middle of a transaction, so
    each table starts with the whole transaction at its LSN; a table without an LSN starts with its oldest change. The
    stream detects changes that cleanup has removed since then (`on_gap`).
    """
    offsets = clock.cdc_offsets()
    if offsets is None:
        raise _no_offsets("this database has no table dbo.cdc_offsets")
    lsns = {f"dbo.{name}".casefold(): lsn or ZERO_LSN for name, lsn in offsets}
    if not any(table.name.casefold() in lsns for table in captured):
        raise _no_offsets("dbo.cdc_offsets has no row for any of the tables to read")
    max_lsn = clock.max_lsn() or ZERO_LSN
    begins: list[bytes] = []
    tables: dict[str, Table] = {}
    for table in captured:
        lsn = lsns.get(table.name.casefold(), ZERO_LSN)
        if lsn > max_lsn:
            raise _no_offsets(
                f"the LSN of {table.name}, {lsn.hex()}, is later than the last captured LSN, {max_lsn.hex()}"
            )
        for name, found in observe({}, [table], Position.before(lsn)).items():
            first, *later = found.instances
            if lsn != ZERO_LSN:
                first = msgspec.structs.replace(first, from_=lsn.hex())
            tables[name] = Table(found.object_id, (first, *later))
            begins.append(bytes.fromhex(first.from_))
    position = Position.before(min(begins, default=max_lsn))
    return ReaderState(Database(guid), stored_position(position), None, tables)


def _no_offsets(what: str) -> ConfigError:
    return ConfigError(
        "mssql.cdc_offsets",
        f"cannot start from cdc_offsets: {what}",
        hint="Check that this is the database that the original DStream read; otherwise use start_from = "
        '"earliest", "latest", an LSN or a time.',
        config_path="start_from",
    )


def _is_same(table: Table, marks: Mapping[str, Watermark]) -> bool:
    return all(
        (mark := marks.get(instance.name)) is not None
        and (mark.object_id, mark.create_date) == (instance.object_id, instance.create_date)
        for instance in table.instances
    )
