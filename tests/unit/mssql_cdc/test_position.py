from __future__ import annotations

import pytest
from dstream_mssql_cdc.position import Floor, Position, decrement_lsn, floor_of, increment_lsn, lsn_of_number, parse_lsn

LSN, SEQ = (100).to_bytes(10), (7).to_bytes(10)


@pytest.mark.parametrize(
    ("operation", "object_id", "floor"),
    [
        (2, 5, 2),  # the position's own table: after its row
        (2, 4, 2),  # a table that sorts first among equals: its row was already emitted
        (2, 6, 1),  # a table that sorts later among equals: its insert is still to come
        (1, 6, 0),
        (4, 5, 4),
        (4, 6, 2),  # its update is still to come and starts with the row for operation 3
    ],
)
def test_rows_at_the_position_are_read_only_from_later_tables(operation: int, object_id: int, floor: int) -> None:
    position = Position(LSN, 1, SEQ, operation, 5)
    assert floor_of(position, object_id, bytes(10)) == Floor(LSN, 1, SEQ, floor)


def test_a_table_that_starts_later_is_read_from_its_start() -> None:
    first = increment_lsn(LSN)
    assert floor_of(Position(LSN, 1, SEQ, 2, 5), 5, first) == Floor(LSN)
    assert floor_of(Position.end_of(bytes(10)), 5, first) == Floor(LSN)
    assert floor_of(Position.end_of(LSN), 5, first) == Floor(LSN)


def test_the_stages_of_a_read_widen_from_the_command_to_the_log() -> None:
    stage = Floor(LSN, 1, SEQ, 2)
    assert [stage, stage.wider(), stage.wider().wider(), stage.wider().wider().wider()] == [  # type: ignore[union-attr]
        stage,
        Floor(LSN, 1),
        Floor(LSN),
        None,
    ]


def test_lsns_are_80_bit_numbers() -> None:
    assert increment_lsn(bytes.fromhex("0000002a0000001800ff")).hex() == "0000002a000000180100"
    assert decrement_lsn(bytes.fromhex("0000002a000000000000")).hex() == "00000029ffffffffffff"
    assert decrement_lsn(bytes(10)) == bytes(10)


def test_every_form_of_an_lsn_is_parsed() -> None:
    forms = ["0000002a000000180022", "0x0000002A000000180022", " 0000002a:00000018:0022 "]
    assert {parse_lsn(text) for text in forms} == {bytes.fromhex("0000002a000000180022")}
    assert parse_lsn("2a:18:22") is None


def test_an_lsn_is_read_as_system_views_show_it() -> None:
    """The log file 0x2a, the block 0x18 and the record 0x22."""
    assert lsn_of_number(42_0000000024_00034) == parse_lsn("0000002a:00000018:0022")
