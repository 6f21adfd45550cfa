from __future__ import annotations

import pytest
from dstream_mssql_cdc.instances import CapturedInstance, CapturedTable, Watermark, gaps, observe, switches
from dstream_mssql_cdc.position import Position, increment_lsn
from dstream_mssql_cdc.state import Table

from dstream.sdk.errors import RefusedError


def lsn(number: int) -> bytes:
    return number.to_bytes(10)


def mark(name: str, start: int | None, created: str = "2024-01-01", object_id: int = 1) -> Watermark:
    return Watermark(name, object_id, 5, None if start is None else lsn(start), created)


def table(*marks: Watermark, name: str = "dbo.T") -> CapturedTable:
    return CapturedTable(name, 5, tuple(CapturedInstance(one, (), ()) for one in marks))


def reading(tables: dict[str, Table]) -> list[tuple[str, int, int | None]]:
    return [(one.name, int(one.from_, 16), int(one.to, 16) if one.to else None) for one in tables["dbo.T"].instances]


AT_100 = Position.end_of(lsn(100))
INSIDE_100 = Position(lsn(100), 1, lsn(1), 2, 5)


def test_a_table_begins_behind_the_position() -> None:
    assert reading(observe({}, [table(mark("a", 10))], AT_100)) == [("a", 101, None)]


def test_a_table_that_is_added_inside_a_transaction_begins_with_the_next() -> None:
    assert reading(observe({}, [table(mark("a", 10))], INSIDE_100)) == [("a", 101, None)]


def test_a_table_whose_capture_begins_later_begins_there() -> None:
    assert reading(observe({}, [table(mark("a", 300))], AT_100)) == [("a", 300, None)]


def test_of_two_instances_the_second_takes_over_at_its_start() -> None:
    assert reading(observe({}, [table(mark("b", 200, "2024-02-01"), mark("a", 10))], AT_100)) == [
        ("a", 101, 200),
        ("b", 200, None),
    ]


def test_of_two_instances_that_both_began_before_the_position_the_later_is_read() -> None:
    assert reading(observe({}, [table(mark("a", 10), mark("b", 50))], AT_100)) == [("b", 101, None)]


def test_a_second_instance_seen_on_the_way_takes_over_at_its_start_as_it_was_at_first_sight() -> None:
    first = observe({}, [table(mark("a", 10))], AT_100)
    second = observe(first, [table(mark("a", 10), mark("b", 200, "2024-02-01"))], AT_100)
    assert reading(second) == [("a", 101, 200), ("b", 200, None)]
    assert switches(second) == [lsn(200)]
    raised_by_cleanup = [table(mark("a", 150), mark("b", 250, "2024-02-01"))]
    assert reading(observe(second, raised_by_cleanup, AT_100)) == [("a", 101, 200), ("b", 200, None)]


def test_a_second_instance_that_began_before_the_position_takes_over_with_the_next_transaction() -> None:
    first = observe({}, [table(mark("a", 10))], Position.end_of(lsn(20)))
    both = [table(mark("a", 10), mark("b", 50, "2024-02-01"))]
    assert reading(observe(first, both, INSIDE_100)) == [("a", 21, 101), ("b", 101, None)]


def test_an_instance_without_a_start_is_not_read_yet() -> None:
    first = observe({}, [table(mark("a", 10))], AT_100)
    assert reading(observe(first, [table(mark("a", 10), mark("b", None, "2024-02-01"))], AT_100)) == [("a", 101, None)]


def test_an_instance_that_is_read_to_its_end_is_forgotten() -> None:
    first = observe({}, [table(mark("a", 10), mark("b", 200, "2024-02-01"))], AT_100)
    later = observe(first, [table(mark("b", 200, "2024-02-01"))], Position.end_of(lsn(199)))
    assert reading(later) == [("b", 200, None)]


def test_cleanup_may_come_up_to_the_next_wanted_lsn_and_no_further() -> None:
    tables = observe({}, [table(mark("a", 10))], AT_100)
    at_150 = Position.end_of(lsn(150))
    assert gaps(tables, [mark("a", 151)], at_150) == []
    assert [gap.start_lsn for gap in gaps(tables, [mark("a", 152)], at_150)] == [lsn(152)]


def test_inside_a_transaction_its_own_rows_must_still_be_there() -> None:
    tables = observe({}, [table(mark("a", 10))], Position.end_of(lsn(20)))
    assert gaps(tables, [mark("a", 100)], INSIDE_100) == []
    assert len(gaps(tables, [mark("a", 101)], INSIDE_100)) == 1


def test_a_table_that_begins_later_is_no_gap_before_its_beginning() -> None:
    tables = observe({}, [table(mark("a", 300))], AT_100)
    assert gaps(tables, [mark("a", 300)], AT_100) == []
    assert len(gaps(tables, [mark("a", 301)], AT_100)) == 1


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ([], "mssql.instance_dropped"),
        ([mark("a", 10, object_id=2)], "mssql.instance_recreated"),
        ([mark("a", 10, created="2024-05-05")], "mssql.instance_recreated"),
    ],
)
def test_another_instance_or_none_is_refused(now: list[Watermark], code: str) -> None:
    tables = observe({}, [table(mark("a", 10))], AT_100)
    with pytest.raises(RefusedError) as caught:
        gaps(tables, now, AT_100)
    assert caught.value.code == code
    assert caught.value.hint


def test_a_table_that_was_dropped_and_made_again_is_refused() -> None:
    known = observe({}, [table(mark("a", 10))], AT_100)
    again = CapturedTable("dbo.T", 6, (CapturedInstance(mark("a", 10), (), ()),))
    with pytest.raises(RefusedError) as caught:
        observe(known, [again], AT_100)
    assert caught.value.code == "mssql.table_recreated"


def test_a_table_that_lost_its_capture_is_missed_not_forgotten() -> None:
    tables = observe({}, [table(mark("a", 10))], AT_100)
    with pytest.raises(RefusedError, match=r"dbo\.T"):
        gaps(observe(tables, [], AT_100), [], AT_100)


def test_the_highest_lsn_has_no_next() -> None:
    assert increment_lsn(b"\xff" * 10) == b"\xff" * 10
