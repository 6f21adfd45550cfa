"""Follows known tables through the catalog: which were renamed, and which cannot be read on from where reading stopped.

Pure. Source: "Enable and disable change data capture": dropping a captured table removes its capture metadata, and so
does sys.sp_cdc_disable_table, with the change table and all rows in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dstream.sdk.errors import RefusedError
from dstream_mssql_cdc.catalog.instances import CapturedTable, Watermark, unread
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.state import Instance, Table


class InstancesChanged(Exception):
    """A capture instance that is being read is gone, is another one now, or has other columns: the catalog must be read
    again."""


class LostTable(NamedTuple):
    """A table that cannot be read on, and why."""

    object_id: int
    why: RefusedError


@dataclass(frozen=True, slots=True)
class Followed:
    """`tables`: those to read on, by their current names. `renamed`: their former names, with the current ones.
    `lost`: the others, by name."""

    tables: dict[str, Table]
    renamed: dict[str, str]
    lost: dict[str, LostTable]


def still_selected(
    known: Mapping[str, Table], captured: Sequence[CapturedTable], selects: Callable[[str], bool]
) -> dict[str, Table]:
    """The known tables that the config still selects, by their current or their former name."""
    ids = {table.object_id for table in captured}
    return {name: table for name, table in known.items() if table.object_id in ids or selects(name)}


def follow(
    known: Mapping[str, Table],
    captured: Sequence[CapturedTable],
    others: Mapping[int, str],
    marks: Sequence[Watermark],
    position: Position,
) -> Followed:
    """Find the known tables in the catalog. `others`: names of captured tables that the config does not select.

    A rename keeps a table's object id and its capture instances.
    """
    names = {table.object_id: table.name for table in captured}
    ids = {table.name: table.object_id for table in captured}
    by_name = {mark.instance: mark for mark in marks}
    followed = Followed({}, {}, {})
    for name, table in known.items():
        now = names.get(table.object_id, name)
        other = others.get(table.object_id, name)
        why = None
        if table.object_id not in names:
            if other != name:
                why = _renamed(name, other)
            elif name in ids:
                why = _another_table(name, table.object_id, ids[name])
        why = why or _changed_instance(now, table, by_name, position)
        if now != name:
            followed.renamed[name] = now
        if why is None:
            followed.tables[now] = table
        else:
            followed.lost[now] = LostTable(table.object_id, why)
    return followed


def returned(gone: Mapping[str, int], tables: Mapping[str, Table]) -> set[str]:
    """The tables that were `gone`, object ids by name: under another name, or others of the same name."""
    return {name for name, table in tables.items() if name in gone or table.object_id in gone.values()}


def still_gone(gone: Mapping[str, int], tables: Mapping[str, Table], selects: Callable[[str], bool]) -> dict[str, int]:
    """Those of `gone` that are none of `tables` and that the config still selects."""
    ids = {table.object_id for table in tables.values()}
    return {name: id_ for name, id_ in gone.items() if name not in tables and id_ not in ids and selects(name)}


def check_instances(tables: Mapping[str, Table], marks: Sequence[Watermark], position: Position) -> None:
    """Raise InstancesChanged if the tables cannot be read on."""
    by_name = {mark.instance: mark for mark in marks}
    if any(_changed_instance(name, table, by_name, position) for name, table in tables.items()):
        raise InstancesChanged


def _changed_instance(
    name: str, table: Table, marks: Mapping[str, Watermark], position: Position
) -> RefusedError | None:
    """Why an instance with rows after `position` can no longer be read; None if all can."""
    for instance in unread(table.instances, position):
        mark = marks.get(instance.name)
        if mark is None:
            return _dropped(name, instance)
        if (mark.object_id, mark.create_date) != (instance.object_id, instance.create_date):
            return _recreated(name, instance, mark)
    return None


_ACCEPT = (
    'To accept the loss and go on, set on_table_change to "skip", or to "resnapshot" to read the table\'s rows once it '
    "is captured."
)


def _dropped(table: str, instance: Instance) -> RefusedError:
    return RefusedError(
        "mssql.instance_dropped",
        f"capture instance {instance.name} of {table} no longer exists: capture was disabled, or the instance was "
        "dropped before all of its changes were read",
        hint="Changes since then may be lost. Re-enable capture and start over with `--reset --from POSITION`, or "
        f"remove the table from `tables`. {_ACCEPT}",
        config_path="tables",
    )


def _renamed(was: str, now: str) -> RefusedError:
    return RefusedError(
        "mssql.table_renamed",
        f"{was} is now {now}, which `tables` does not select",
        hint=f'Add "{now}" to `tables` to continue where reading stopped. To stop reading it, remove "{was}" from '
        "`tables`.",
        config_path="tables",
    )


def _another_table(table: str, known: int, found: int) -> RefusedError:
    return RefusedError(
        "mssql.table_recreated",
        f"{table} is not the table in the checkpoint: its object id was {known} and is now {found}",
        hint="It was dropped and re-created, so changes in between are lost. Start over with "
        f"`--reset --from POSITION`. {_ACCEPT}",
        config_path="tables",
    )


def _recreated(table: str, instance: Instance, mark: Watermark) -> RefusedError:
    return RefusedError(
        "mssql.instance_recreated",
        f"capture instance {instance.name} of {table} is not the one in the checkpoint: its change table was "
        f"{instance.object_id} (created {instance.create_date}) and is now {mark.object_id} "
        f"(created {mark.create_date})",
        hint="Capture was disabled and re-enabled, or this is another database, so changes in between are lost. Start "
        f"over with `--reset --from POSITION`. {_ACCEPT}",
        config_path="tables",
    )
