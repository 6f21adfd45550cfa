"""Decides which capture instance to create or drop next. Pure.

Nothing is remembered: what to do follows from the catalog and from the stored checkpoint, so the next run continues
where one was killed. "sys.sp_cdc_enable_table": a table can have at most two capture instances. So a new column needs a
second instance, and the next new column needs the older of the two to be gone.

**Which instances are DStream's.** Those named `dstream_OBJECT-ID_NUMBER` with the object id of their own table. Others
are never dropped.

**When one is dropped.** Once the stored checkpoint is past its last row: the host has stored it, so every row before it
has been delivered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, unread
from dstream_mssql_cdc.state import ReaderState


@dataclass(frozen=True, slots=True)
class Create:
    """Create `instance` with the settings of `like`, and with the columns that were added to the table."""

    table: CapturedTable
    instance: str
    like: CapturedInstance


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop `instance`, which has no rows left to read."""

    table: CapturedTable
    instance: str


@dataclass(frozen=True, slots=True)
class Wait:
    """`instance` is to be dropped, but the stored checkpoint is not past it."""

    table: CapturedTable
    instance: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """A column was added, but the table has two instances, and `instance`, the older one, is not DStream's."""

    table: CapturedTable
    instance: str


Step = Create | Drop | Wait | Blocked


def instance_name(object_id: int, number: int) -> str:
    """The name of DStream's n-th instance of the table `object_id`."""
    return f"dstream_{object_id}_{number}"


def number_of(instance: str, object_id: int) -> int | None:
    """The number of an instance that DStream created for the table `object_id`; None for others."""
    match = re.fullmatch(r"dstream_(-?\d+)_(\d+)", instance)
    return int(match[2]) if match and int(match[1]) == object_id else None


def next_step(table: CapturedTable, stored: ReaderState | None) -> Step | None:
    """What to do for the table; None if nothing. `stored`: the last checkpoint that the host has stored."""
    newest = table.newest
    older = next((one for one in table.instances if one is not newest), None)
    if older is not None:
        name = older.mark.instance
        if number_of(name, table.object_id) is None:
            return Blocked(table, name) if table.uncaptured else None
        return Drop(table, name) if _is_past(table, newest, older, stored) else Wait(table, name)
    if not table.uncaptured:
        return None
    number = number_of(newest.mark.instance, table.object_id) or 0
    return Create(table, instance_name(table.object_id, number + 1), newest)


def needed(table: CapturedTable, step: Step | None) -> list[str]:
    """DStream's instances of the table that have rows left to read."""
    names = [one.mark.instance for one in table.instances if number_of(one.mark.instance, table.object_id) is not None]
    return [name for name in names if not isinstance(step, Drop) or name != step.instance]


def columns_to_capture(table: CapturedTable, like: CapturedInstance, columns: Sequence[str]) -> tuple[str, ...] | None:
    """Those of the table's `columns`, without computed ones, that its next instance captures; None for all. Columns
    that the instance `like` left out on purpose (@captured_column_list) stay out."""
    wanted = {column.name for column in like.columns} | {*table.uncaptured}
    kept = tuple(name for name in columns if name in wanted)
    return None if len(kept) == len(columns) else kept


def _is_past(
    table: CapturedTable, newest: CapturedInstance, older: CapturedInstance, stored: ReaderState | None
) -> bool:
    """Whether the checkpoint reads the table from its newest instance only."""
    if stored is None:
        return False
    known = next((one for one in stored.tables.values() if one.object_id == table.object_id), None)
    if known is None:
        return False
    left = {(one.name, one.object_id) for one in unread(known.instances, stored.position)}
    return left == {(newest.mark.instance, newest.mark.object_id)} and older.mark.instance != newest.mark.instance
