"""Which capture instance of each table is read from which LSN on, and whether cleanup has overtaken the reader; pure.

Retention: cleanup raises an instance's start_lsn in cdc.change_tables first and deletes change rows afterwards
("sys.sp_cdc_cleanup_change_table", Remarks; sys.sp_MScdc_cleanup_job). Whoever looks at start_lsn AFTER reading knows
that nothing was missing while he read, as long as start_lsn was not above what he wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.columns import Column
from dstream_mssql_cdc.position import Position, increment_lsn
from dstream_mssql_cdc.state import Instance, Table


class Watermark(NamedTuple):
    """A row of cdc.change_tables. `start_lsn` is None while capture has not established it."""

    instance: str
    object_id: int
    source_object_id: int
    start_lsn: bytes | None
    create_date: str


@dataclass(frozen=True, slots=True)
class CapturedInstance:
    """A capture instance as the catalog describes it."""

    mark: Watermark
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns of the index given when capture was enabled; empty for a table without one."""


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A source table with capture."""

    name: str
    """`schema.table`"""
    object_id: int
    instances: tuple[CapturedInstance, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes of `table` from `wanted` up to before `start_lsn` may be gone."""

    table: str
    instance: str
    wanted: bytes
    start_lsn: bytes


def observe(known: Mapping[str, Table], captured: Sequence[CapturedTable], position: Position) -> dict[str, Table]:
    """The tables to read from `position` on: what is known goes on, what is new begins with the next whole transaction.

    A second instance takes over at its start_lsn as it was at first sight; cleanup raises it later. A known table
    that is not captured any more stays, so that `gaps` misses it. Raises RefusedError for another table of its name.
    """
    begin = (position.next_lsn if position.is_border else increment_lsn(position.lsn)).hex()
    tables = dict(known)
    for table in captured:
        marks = [instance.mark for instance in table.instances if instance.mark.start_lsn is not None]
        before = known.get(table.name)
        if before and before.object_id != table.object_id:
            raise _another_table(table.name, before.object_id, table.object_id)
        instances = _with_new(before.instances, marks, begin) if before else _first_seen(marks, begin)
        current = tuple(
            instance for instance in instances if instance.to is None or instance.to > position.next_lsn.hex()
        )
        if current:
            tables[table.name] = Table(table.object_id, current)
    return tables


def _first_seen(marks: Sequence[Watermark], begin: str) -> tuple[Instance, ...]:
    ordered = sorted(marks, key=lambda mark: (mark.start_lsn or b"", mark.create_date))
    started = [mark for mark in ordered if _start(mark) <= begin]
    chosen = [*started[-1:], *(mark for mark in ordered if _start(mark) > begin)]
    instances: tuple[Instance, ...] = ()
    for mark in chosen:
        instances = _appended(instances, mark, begin)
    return instances


def _with_new(known: tuple[Instance, ...], marks: Sequence[Watermark], begin: str) -> tuple[Instance, ...]:
    names = {instance.name for instance in known}
    instances = known
    for mark in sorted(marks, key=_start):
        if mark.instance not in names and mark.create_date >= known[-1].create_date:
            instances = _appended(instances, mark, begin)
    return instances


def _appended(instances: tuple[Instance, ...], mark: Watermark, begin: str) -> tuple[Instance, ...]:
    first = max(_start(mark), begin)
    new = Instance(mark.instance, mark.object_id, mark.create_date, first)
    if not instances:
        return (new,)
    if first <= instances[-1].from_:
        return (*instances[:-1], new)
    return (*instances[:-1], msgspec.structs.replace(instances[-1], to=first), new)


def _start(mark: Watermark) -> str:
    return (mark.start_lsn or b"").hex()


def gaps(tables: Mapping[str, Table], marks: Sequence[Watermark], position: Position) -> list[Gap]:
    """Instances whose rows behind `position` cleanup may have removed.

    Raises RefusedError for another instance of the name.
    """
    by_name = {mark.instance: mark for mark in marks}
    found: list[Gap] = []
    for name, table in tables.items():
        for instance in table.instances:
            if instance.to is not None and instance.to <= position.next_lsn.hex():
                continue
            mark = by_name.get(instance.name)
            if mark is None:
                raise dropped(name, instance)
            if (mark.object_id, mark.create_date) != (instance.object_id, instance.create_date):
                raise recreated(name, instance, mark)
            wanted = max(position.next_lsn, bytes.fromhex(instance.from_))
            if mark.start_lsn is not None and mark.start_lsn > wanted:
                found.append(Gap(name, instance.name, wanted, mark.start_lsn))
    return found


def without_gaps(tables: Mapping[str, Table], found: Sequence[Gap]) -> dict[str, Table]:
    """The same tables, read from where their change rows begin now (`on_gap = "continue"`)."""
    lost = {gap.instance: gap.start_lsn.hex() for gap in found}
    return {
        name: Table(
            table.object_id,
            tuple(
                msgspec.structs.replace(instance, from_=lost.get(instance.name, instance.from_))
                for instance in table.instances
            ),
        )
        for name, table in tables.items()
    }


def switches(tables: Mapping[str, Table]) -> list[bytes]:
    """LSNs at which some table's next instance takes over."""
    return [bytes.fromhex(later.from_) for table in tables.values() for later in table.instances[1:]]


def gap_error(found: Sequence[Gap]) -> RefusedError:
    gap = found[0]
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return RefusedError(
        "mssql.gap",
        f"changes of {gap.table}{others} were removed by CDC cleanup before they were read: wanted from LSN "
        f"{gap.wanted.hex()}, "
        f"the capture instance {gap.instance} begins at {gap.start_lsn.hex()}",
        hint='Go on without them with on_gap = "continue", or start again with `--reset --from ..`. '
        "To keep changes longer: EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080; -- minutes",
        config_path="on_gap",
    )


def dropped(table: str, instance: Instance) -> RefusedError:
    return RefusedError(
        "mssql.instance_dropped",
        f"the capture instance {instance.name} of {table} is gone: capture was disabled, or it was dropped before it "
        "was read to "
        "its end",
        hint="Changes since then may be lost. Enable capture again and start with `--reset --from ..`, or take the "
        "table out of "
        "`tables`.",
        config_path="tables",
    )


def _another_table(table: str, known: int, found: int) -> RefusedError:
    return RefusedError(
        "mssql.table_recreated",
        f"{table} is not the table of the checkpoint: object id {known} there, {found} here",
        hint="It was dropped and made again: changes in between are lost. Start again with `--reset --from ..`, "
        "or accept it with accept_changed_source = true.",
        config_path="tables",
    )


def recreated(table: str, instance: Instance, mark: Watermark) -> RefusedError:
    return RefusedError(
        "mssql.instance_recreated",
        f"the capture instance {instance.name} of {table} is not the one of the checkpoint: change table "
        f"{instance.object_id} of "
        f"{instance.create_date} there, {mark.object_id} of {mark.create_date} here",
        hint="Capture was disabled and enabled again, or this is another database: changes in between are lost. Start "
        "again with "
        "`--reset --from ..`, or accept it with accept_changed_source = true.",
        config_path="tables",
    )
