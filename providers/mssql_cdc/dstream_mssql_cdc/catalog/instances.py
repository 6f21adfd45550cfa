"""Decides which capture instance of each table to read from which LSN, and detects changes that cleanup removed. Pure.

Retention: cleanup first raises an instance's start_lsn in cdc.change_tables, then deletes change rows
("sys.sp_cdc_cleanup_change_table", Remarks; sys.sp_MScdc_cleanup_job). So if start_lsn, checked AFTER reading, is not
above the first LSN needed, no row was missing during the read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.catalog.columns import Column
from dstream_mssql_cdc.position import Position, increment_lsn
from dstream_mssql_cdc.state import Instance, Table


class Watermark(NamedTuple):
    """A row of cdc.change_tables. `start_lsn` is None until capture has set it. `modified`: when the change table was
    last altered, as the catalog and a page show it."""

    instance: str
    object_id: int
    source_object_id: int
    start_lsn: bytes | None
    create_date: str
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class CapturedInstance:
    """A capture instance from the catalog."""

    mark: Watermark
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns of the unique index specified when capture was enabled; empty if the table has none."""


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A source table with change data capture."""

    name: str
    """`schema.table`"""
    object_id: int
    instances: tuple[CapturedInstance, ...]
    uncaptured: tuple[str, ...] = ()
    """Columns that were added to the table and that no instance captures."""

    @property
    def newest(self) -> CapturedInstance:
        return max(self.instances, key=lambda instance: instance.mark.create_date)


@dataclass(frozen=True, slots=True)
class Gap:
    """Changes of `table` from `wanted` up to, but excluding, `start_lsn` may have been removed."""

    table: str
    instance: str
    wanted: bytes
    start_lsn: bytes


def observe(
    known: Mapping[str, Table],
    captured: Sequence[CapturedTable],
    position: Position,
    *,
    window_end: Position | None = None,
) -> dict[str, Table]:
    """The tables to read from `position` on: known tables continue, new ones start with the next whole transaction.

    Reading switches to a second instance at the start_lsn it had when first seen, since cleanup raises it later.
    `known`: by their current names. `window_end`: of a recorded window, whose rows must stay what they are, so that new
    instances begin after it.
    """
    new_from = window_end or position
    begin = (new_from.next_lsn if new_from.is_border else increment_lsn(new_from.lsn)).hex()
    tables = dict(known)
    for table in captured:
        marks = [instance.mark for instance in table.instances if instance.mark.start_lsn is not None]
        before = known.get(table.name)
        instances = _with_new(unread(before.instances, position), marks, begin) if before else _first_seen(marks, begin)
        current = unread(instances, position)
        if current:
            tables[table.name] = msgspec.structs.replace(before or Table(table.object_id, ()), instances=current)
    return tables


def _first_seen(marks: Sequence[Watermark], begin: str) -> tuple[Instance, ...]:
    """The newest instance that has begun, and those created after it. An older one can begin later, since cleanup can
    raise the start_lsn of one instance alone."""
    ordered = sorted(marks, key=lambda mark: (mark.create_date, _start(mark)))
    newest = max((at for at, mark in enumerate(ordered) if _start(mark) <= begin), default=0)
    instances: tuple[Instance, ...] = ()
    for mark in ordered[newest:]:
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


def unread(instances: Sequence[Instance], position: Position) -> tuple[Instance, ...]:
    """The instances that are still to be read after `position`."""
    return tuple(instance for instance in instances if instance.to is None or instance.to > position.next_lsn.hex())


def gaps(tables: Mapping[str, Table], marks: Sequence[Watermark], position: Position) -> list[Gap]:
    """Instances whose rows after `position` cleanup may have removed. table_changes.py reports those without a mark."""
    next_lsn = position.next_lsn
    starts = ((mark.instance, mark.start_lsn) for mark in marks)
    raised = {instance: start_lsn for instance, start_lsn in starts if start_lsn is not None and start_lsn > next_lsn}
    if not raised:
        return []
    found: list[Gap] = []
    for name, table in tables.items():
        for instance in unread(table.instances, position):
            start_lsn = raised.get(instance.name)
            wanted = max(next_lsn, bytes.fromhex(instance.from_))
            if start_lsn is not None and start_lsn > wanted:
                found.append(Gap(name, instance.name, wanted, start_lsn))
    return found


def without_gaps(tables: Mapping[str, Table], found: Sequence[Gap]) -> dict[str, Table]:
    """The same tables, to be read from where their change rows now begin (`on_gap = "continue"`)."""
    lost = {gap.instance: gap.start_lsn.hex() for gap in found}
    return {
        name: msgspec.structs.replace(
            table,
            instances=tuple(
                msgspec.structs.replace(instance, from_=lost.get(instance.name, instance.from_))
                for instance in table.instances
            ),
        )
        for name, table in tables.items()
    }


def switches(tables: Mapping[str, Table]) -> list[bytes]:
    """LSNs at which reading switches to a table's next instance."""
    return [bytes.fromhex(one.to) for table in tables.values() for one in table.instances if one.to is not None]


def gap_error(found: Sequence[Gap]) -> RefusedError:
    gap = found[0]
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return RefusedError(
        "mssql.gap",
        f"CDC cleanup may have removed unread changes of {gap.table}{others}: needed from LSN "
        f"{gap.wanted.hex()}, but capture instance {gap.instance} begins at {gap.start_lsn.hex()}",
        hint='Skip them with on_gap = "continue", read the tables again with on_gap = "resnapshot", or start over with '
        "`--reset --from POSITION`. To keep changes longer, run: EXEC sys.sp_cdc_change_job @job_type = N'cleanup', "
        "@retention = 10080; -- minutes",
        config_path="on_gap",
    )
