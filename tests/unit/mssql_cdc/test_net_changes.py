"""What a window of changes of one key becomes."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest
from dstream_mssql_cdc.catalog.columns import Choices, Column
from dstream_mssql_cdc.position import Position, increment_lsn
from dstream_mssql_cdc.records.events import EventBuilder, TableShape
from dstream_mssql_cdc.state import Database, NetWindow, ReaderState, load_state, stored_position
from dstream_mssql_cdc.stream.net_changes import NetChanges, NetFold, StoredWindow

from dstream.sdk import Stop

COLUMNS = (Column("Id", "int", 1), Column("Name", "nvarchar", 2, length=100), Column("Note", "nvarchar", 3, length=-1))
LSN = bytes(9) + b"\x2a"
NAME, NOTE, ALL = b"\x02", b"\x04", b"\x07"


def builder(*, key: list[str] | None = None, columns: tuple[Column, ...] = COLUMNS) -> EventBuilder:
    shape = TableShape("dbo.T", 7, ["Id"] if key is None else key, columns, "6f9619ff/7/", 1_000_000, Choices())
    return EventBuilder(shape)


def net(
    *changes: tuple[int, bytes, int, str | None, str | None],
    choices: NetChanges | None = None,
    of: EventBuilder | None = None,
) -> list[dict[str, Any]]:
    """The net rows of changes (operation, mask, Id, Name, Note) of one transaction each."""
    of = of or builder()
    rows = []
    for command, (operation, mask, id_, name, note) in enumerate(changes, 1):
        at = command if operation != 4 else command - 1  # The rows 3 and 4 of an update are a pair.
        rows.append((LSN, at, bytes(10), operation, mask, id_, name, note, None if note is None else 2 * len(note)))
    fold = NetFold(choices or NetChanges())
    for keyed in of.events(rows, {}):
        fold.add(keyed, of)
    events = fold.take("00c0ffee", ends_transaction=True)
    assert fold.held_bytes == 0
    return [json.loads(msgspec.json.encode(event)) for event in events]


INSERT = (2, ALL, 1, "A", "a note")
RENAME = ((3, NAME, 1, "A", None), (4, NAME, 1, "B", None))
NEW_NOTE = ((3, NOTE, 1, "A", "a note"), (4, NOTE, 1, "A", "another"))
DELETE = (1, ALL, 1, "B", "another")


@pytest.mark.parametrize(
    ("changes", "kind", "data", "before", "changed", "unchanged"),
    [
        ([INSERT], "Insert", {"Id": 1, "Name": "A", "Note": "a note"}, None, [], []),
        ([INSERT, *RENAME], "Insert", {"Id": 1, "Name": "B", "Note": "a note"}, None, [], []),
        ([*RENAME], "Update", {"Id": 1, "Name": "B"}, {"Id": 1, "Name": "A"}, ["Name"], ["Note"]),
        (
            [*NEW_NOTE, *RENAME],
            "Update",
            {"Id": 1, "Name": "B", "Note": "another"},
            {"Id": 1, "Name": "A", "Note": "a note"},
            ["Name", "Note"],
            [],
        ),
        ([*RENAME, DELETE], "Delete", {"Id": 1, "Name": "B", "Note": "another"}, None, [], []),
        ([INSERT, DELETE], "Delete", {"Id": 1, "Name": "B", "Note": "another"}, None, [], []),
        (
            [DELETE, INSERT],
            "Update",
            {"Id": 1, "Name": "A", "Note": "a note"},
            {"Id": 1, "Name": "B", "Note": "another"},
            ["Id", "Name", "Note"],
            [],
        ),
        ([INSERT, DELETE, INSERT], "Insert", {"Id": 1, "Name": "A", "Note": "a note"}, None, [], []),
    ],
)
def test_a_row_says_how_the_window_changed_it(
    changes: list[Any],
    kind: str,
    data: dict[str, Any],
    before: dict[str, Any] | None,
    changed: list[str],
    unchanged: list[str],
) -> None:
    (event,) = net(*changes)
    metadata = event["metadata"]
    assert (metadata["OperationType"], event["data"], event.get("before")) == (kind, data, before)
    assert metadata["OperationID"] == {"Delete": 1, "Insert": 2, "Update": 4}[kind]
    assert (metadata["Changed"], metadata["Unchanged"]) == (changed, unchanged)
    assert metadata["Last"] is True
    last = metadata["CommandId"]
    assert metadata["Id"] == f"6f9619ff/7/{LSN.hex()}/{last}/{bytes(10).hex()}/{changes[-1][0]}/n00c0ffee"


def test_rows_are_in_the_order_of_the_last_change_of_their_key() -> None:
    other = (2, ALL, 2, "C", "c")
    assert [event["data"]["Id"] for event in net(INSERT, other, *RENAME)] == [2, 1]
    assert [event["metadata"].get("Last") for event in net(INSERT, other)] == [None, True]


def test_operations_choose_among_net_changes() -> None:
    only_inserts = NetChanges(operations=("insert",))
    assert [event["data"]["Name"] for event in net(INSERT, *RENAME, choices=only_inserts)] == ["B"]
    assert net(*RENAME, choices=only_inserts) == []


def test_before_images_can_be_left_out() -> None:
    (event,) = net(DELETE, INSERT, choices=NetChanges(before_images=False))
    assert "before" not in event


def test_without_a_key_each_change_is_a_row() -> None:
    assert [event["data"]["Name"] for event in net(INSERT, *RENAME, of=builder(key=[]))] == ["A", "B"]


def test_a_large_value_is_found_whatever_its_column_is_called() -> None:
    odd = (*COLUMNS[:2], Column('A "note"', "nvarchar", 3, length=-1))
    (event,) = net(*NEW_NOTE, *RENAME, of=builder(columns=odd))
    assert event["data"] == {"Id": 1, "Name": "B", 'A "note"': "another"}


def test_a_position_set_by_hand_after_the_window_discards_it() -> None:
    here, later = Position.end_of(LSN), Position.end_of(increment_lsn(LSN))
    state = ReaderState(Database("guid"), stored_position(here), None, {}, net=NetWindow(stored_position(later), "a"))
    loaded = load_state(json.loads(json.dumps(state.stored())))
    assert loaded == state
    moved = load_state({**state.stored(), "pos": stored_position(later)})
    assert moved is not None
    assert moved.net is None


def test_a_window_is_waited_for_until_it_is_stored() -> None:
    window, stop = StoredWindow(), Stop()
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(window.wait("b", stop)))
    waiting.start()
    window.acknowledged({"net": {"id": "a"}})
    window.acknowledged({})
    window.acknowledged({"net": {"id": "b"}})
    waiting.join()
    assert found == [True]
    stop.set()
    assert window.wait("c", stop) is False
