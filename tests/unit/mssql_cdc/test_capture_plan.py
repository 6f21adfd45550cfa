"""Which capture instance a task creates or drops next."""

from __future__ import annotations

import pytest
from dstream_mssql_cdc.capture import statements
from dstream_mssql_cdc.capture.plan import Blocked, Create, Drop, Step, Wait, columns_to_capture, next_step, number_of
from dstream_mssql_cdc.catalog.columns import Column
from dstream_mssql_cdc.catalog.instances import CapturedInstance, CapturedTable, Watermark
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.state import Database, Instance, ReaderState, Table, stored_position

FIRST, SECOND = bytes(9) + b"\x10", bytes(9) + b"\x20"
BY_HAND, ONE, TWO = "dbo_T", "dstream_7_1", "dstream_7_2"


def captured(*names: str, new: tuple[str, ...] = ()) -> CapturedTable:
    """The table 7 with these instances, oldest first; no instance has the columns `new`."""
    marks = [Watermark(name, 100 + at, 7, FIRST, f"2024-01-0{at + 1}T00:00:00.000") for at, name in enumerate(names)]
    columns = (Column("Id", "int", 1),)
    return CapturedTable("dbo.T", 7, tuple(CapturedInstance(mark, columns, ("Id",)) for mark in marks), new)


def stored(position: Position, *names: str) -> ReaderState:
    """A checkpoint whose table 7 is read from these instances; the second one from SECOND on."""
    known = [Instance(name, 100 + at, f"2024-01-0{at + 1}T00:00:00.000", FIRST.hex()) for at, name in enumerate(names)]
    if len(known) == 2:
        known = [
            Instance(known[0].name, 100, known[0].create_date, FIRST.hex(), SECOND.hex()),
            Instance(known[1].name, 101, known[1].create_date, SECOND.hex()),
        ]
    return ReaderState(Database("guid"), stored_position(position), None, {"dbo.Renamed": Table(7, tuple(known))})


BEFORE, PAST = Position.end_of(FIRST), Position.before(SECOND)


@pytest.mark.parametrize(
    ("table", "checkpoint", "expected"),
    [
        (captured(BY_HAND), stored(PAST, BY_HAND), None),
        (captured(BY_HAND, new=("B",)), None, (Create, ONE)),
        (captured(ONE, new=("B",)), stored(BEFORE, ONE), (Create, TWO)),
        (captured("dstream_8_4", new=("B",)), None, (Create, ONE)),
        (captured(BY_HAND, ONE), stored(PAST, BY_HAND, ONE), None),
        (captured(BY_HAND, ONE, new=("B",)), stored(PAST, BY_HAND, ONE), (Blocked, BY_HAND)),
        (captured(ONE, TWO), stored(PAST, ONE, TWO), (Drop, ONE)),
        (captured(ONE, TWO, new=("B",)), stored(PAST, ONE, TWO), (Drop, ONE)),
        (captured(ONE, TWO), stored(BEFORE, ONE, TWO), (Wait, ONE)),
        (captured(ONE, TWO), stored(PAST, ONE), (Wait, ONE)),
        (captured(ONE, TWO), stored(PAST), (Wait, ONE)),
        (captured(ONE, TWO), None, (Wait, ONE)),
        (captured(ONE, BY_HAND), stored(PAST, ONE, BY_HAND), (Drop, ONE)),
    ],
)
def test_the_next_step_follows_from_the_catalog_and_the_stored_checkpoint(
    table: CapturedTable, checkpoint: ReaderState | None, expected: tuple[type[Step], str] | None
) -> None:
    step = next_step(table, checkpoint)
    assert (step and (type(step), step.instance)) == expected


def test_a_checkpoint_that_does_not_have_the_table_does_not_drop_its_instance() -> None:
    other = ReaderState(Database("guid"), stored_position(PAST), None, {})
    assert isinstance(next_step(captured(ONE, TWO), other), Wait)


@pytest.mark.parametrize(
    ("name", "number"),
    [(ONE, 1), ("dstream_7_12", 12), ("dstream_8_1", None), ("dstream_7", None), ("my_dstream_7_1", None)],
)
def test_only_an_instance_named_after_its_table_is_dstreams(name: str, number: int | None) -> None:
    assert number_of(name, 7) == number


def test_columns_that_were_left_out_on_purpose_stay_out() -> None:
    table = captured(BY_HAND, new=("B",))
    assert columns_to_capture(table, table.newest, ["Id", "B"]) is None
    assert columns_to_capture(table, table.newest, ["Id", "Secret", "B"]) == ("Id", "B")


def test_only_settings_that_differ_from_the_defaults_are_passed() -> None:
    statement, parameters = statements.create("dbo", "T", ONE)
    assert statement == (
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;\n"
        "EXEC sys.sp_cdc_enable_table @source_schema = ?, @source_name = ?, @capture_instance = ?, @role_name = NULL;"
    )
    assert parameters == ["dbo", "T", ONE]
    statement, parameters = statements.create(
        "dbo", "T", ONE, role="gate", supports_net_changes=False, allows_partition_switch=False, columns=["a, ]b"]
    )
    assert "NULL" not in statement
    assert parameters[3:] == ["gate", 0, 0, "[a, ]]b]"]
