"""Net changes: one row per key and window, which says how the window changed the row.

Pure, except for StoredWindow.

The rows are those of cdc.fn_cdc_get_net_changes_<capture_instance> with 'all with mask' ("cdc.fn_cdc_get_net_changes_
<capture_instance> (Transact-SQL)"), with one exception, and are folded here instead of by that function. The function
exists only with @supports_net_changes = 1, which costs capture another index; it reads WITH (NOLOCK); its result can be
paged only by running it again; and it knows nothing of other tables.

The exception: for a row that was inserted and deleted in one window, the function returns nothing, and this module the
delete. After a reset to an earlier position, or during a snapshot, a consumer may have the row already.

**Why a window is recorded before it is emitted.** The bounds of a window decide what is folded. If a crash were
followed by other bounds, changes A and B of one key that had been folded to B could arrive as B, A, B, and a queue with
duplicate detection would drop the last of them: the key would end at A. So the checkpoint gets the end of the window
and an id first, and once the host has stored it, the rows follow. Whoever reads the window again, reads the same one:
same rows, same ids. An id contains the window's, so no other window can have it, whatever was folded.

A table without a key has no two changes of one key: each is emitted as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from msgspec import UNSET

from dstream.sdk import State, Stop
from dstream_mssql_cdc.position import DELETE, INSERT, UPDATE_AFTER
from dstream_mssql_cdc.records.events import ChangeEvent, EventBuilder, Keyed, Metadata

_OPERATIONS = {INSERT: "Insert", UPDATE_AFTER: "Update", DELETE: "Delete"}


@dataclass(frozen=True, slots=True)
class NetChanges:
    """How to fold: the operations to emit, by their names in the config, and whether updates have `before`."""

    operations: Collection[str] = ("insert", "update", "delete")
    before_images: bool = True


class StoredWindow:
    """The window in the last checkpoint that the host has stored. One thread hears of it, another waits for it."""

    _STOP_CHECK_S = 0.2

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._id: str | None = None

    def acknowledged(self, state: State) -> None:
        with self._changed:
            self._id = (state.get("net") or {}).get("id")
            self._changed.notify_all()

    def wait(self, window_id: str, stop: Stop) -> bool:
        """Wait until the window with that id is stored. Return False if the stream is to stop."""
        with self._changed:
            while self._id != window_id and not stop.is_set():
                self._changed.wait(self._STOP_CHECK_S)
        return not stop.is_set()


@dataclass(slots=True)
class _NetChange:
    """The changes of one key: the last of them, and what the others add to it. `before`: the row before the window, if
    it existed. `changed`: the columns that updates set; None if the row was deleted and inserted."""

    event: ChangeEvent
    existed: bool
    before: Any
    changed: set[str] | None
    overlaps: bool


class NetFold:
    """The changes of a window up to now."""

    def __init__(self, choices: NetChanges) -> None:
        self._choices = choices
        self._changes: dict[tuple[int, bytes], _NetChange] = {}
        """In the order of each key's last change."""
        self._columns: dict[int, list[str]] = {}
        self._key_of: dict[int, Callable[[Any], Any]] = {}
        self.held_bytes = 0
        """Approximate memory of the rows."""

    def add(self, keyed: Keyed, builder: EventBuilder) -> None:
        """Add the next change in log order."""
        event, shape = keyed[1], builder.shape
        key_of = self._key_of.get(shape.object_id)
        if key_of is None:
            self._columns[shape.object_id] = [column.name for column in shape.columns]
            key_of = self._key_of[shape.object_id] = _key_getter(event.data, shape.key)
        key = (shape.object_id, msgspec.json.encode(key_of(event.data) if shape.key else event.metadata.Id))
        known = self._changes.pop(key, None)
        if known is None:
            self.held_bytes += builder.row_bytes
        self._changes[key] = _first(event) if known is None else _next(known, event)

    def take(self, window_id: str, *, ends_transaction: bool) -> list[ChangeEvent]:
        """Remove and return the rows. `ends_transaction`: whether the window ends with a whole transaction, which its
        last row then marks."""
        events = [event for (table, _), change in self._changes.items() for event in self._net(change, table)]
        self._changes, self.held_bytes = {}, 0
        for event in events:
            event.metadata.Id += f"/n{window_id}"
        if events and ends_transaction:
            events[-1].metadata.Last = True
        return events

    def _net(self, change: _NetChange, table: int) -> Iterable[ChangeEvent]:
        event, metadata = change.event, change.event.metadata
        operation = metadata.OperationID
        if operation != DELETE:
            operation = UPDATE_AFTER if change.existed else INSERT
        name = _OPERATIONS[operation]
        if name.lower() not in self._choices.operations:
            return
        is_update = operation == UPDATE_AFTER
        changed = change.changed
        metadata.OperationID, metadata.OperationType = operation, name
        metadata.Changed = (
            [column for column in self._columns[table] if changed is None or column in changed] if is_update else ()
        )
        metadata.Last = UNSET
        metadata.Overlap = True if change.overlaps else UNSET
        event.before = change.before if is_update and self._choices.before_images else UNSET
        yield event


def _first(event: ChangeEvent) -> _NetChange:
    metadata = event.metadata
    operation = metadata.OperationID
    before = event.data if operation == DELETE else event.before
    changed = None if operation == DELETE else set(metadata.Changed)
    return _NetChange(event, operation != INSERT, before, changed, _overlaps(metadata))


def _next(known: _NetChange, event: ChangeEvent) -> _NetChange:
    previous, operation = known.event, event.metadata.OperationID
    if operation == UPDATE_AFTER:
        _fill(event, previous)
        if known.changed is not None:
            known.changed.update(event.metadata.Changed)
    elif operation == DELETE:
        known.changed = None
    known.event = event
    known.overlaps = known.overlaps or _overlaps(event.metadata)
    return known


def _fill(event: ChangeEvent, previous: ChangeEvent) -> None:
    """Give an update the large values that it did not change, from the change before it."""
    if not event.metadata.Unchanged:
        return
    values, missing = _by_column(previous.data), []
    for name in event.metadata.Unchanged:
        value = values.get(name, UNSET)
        if value is UNSET:
            missing.append(name)
        elif isinstance(event.data, dict):
            event.data[name] = value
        else:
            setattr(event.data, _fields(event.data)[name], value)
    event.metadata.Unchanged = missing


def _overlaps(metadata: Metadata) -> bool:
    return metadata.Overlap is True


def _key_getter(data: Any, key: Sequence[str]) -> Callable[[Any], Any]:
    """Gets the values of the key from the `data` of any event of the table."""
    if not key:
        return lambda _: None
    return itemgetter(*key) if isinstance(data, dict) else attrgetter(*(_fields(data)[name] for name in key))


def _by_column(data: Any) -> Mapping[str, Any]:
    """The values of an event's `data` by column; UNSET or absent if the change row does not contain them."""
    if isinstance(data, dict):
        return data
    return {name: getattr(data, field) for name, field in _fields(data).items()}


def _fields(data: msgspec.Struct) -> dict[str, str]:
    return dict(zip(data.__struct_encode_fields__, data.__struct_fields__, strict=True))
