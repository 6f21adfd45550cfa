from __future__ import annotations

from dstream_mssql_cdc.catalog.instances import (
    CapturedInstance,
    CapturedTable,
    Watermark,
    gaps,
    observe,
    switches,
)
from dstream_mssql_cdc.position import Position, increment_lsn
from dstream_mssql_cdc.state import Table


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


def test_a_table_starts_after_the_position() -> None:
    assert reading(observe({}, [table(mark("a", 10))], AT_100)) == [("a", 101, None)]


def test_a_table_added_inside_a_transaction_starts_with_the_next_one() -> None:
    assert reading(observe({}, [table(mark("a", 10))], INSIDE_100)) == [("a", 101, None)]


def test_a_table_whose_capture_starts_later_starts_there() -> None:
    assert reading(observe({}, [table(mark("a", 300))], AT_100)) == [("a", 300, None)]


def test_the_second_of_two_instances_takes_over_at_its_start() -> None:
    assert reading(observe({}, [table(mark("b", 200, "2024-02-01"), mark("a", 10))], AT_100)) == [
        ("a", 101, 200),
        ("b", 200, None),
    ]


def test_the_newer_of_two_instances_older_than_the_position_is_read() -> None:
    assert reading(observe({}, [table(mark("a", 10), mark("b", 50))], AT_100)) == [("b", 101, None)]


def test_a_new_instance_takes_over_at_its_first_observed_start() -> None:
    first = observe({}, [table(mark("a", 10))], AT_100)
    second = observe(first, [table(mark("a", 10), mark("b", 200, "2024-02-01"))], AT_100)
    assert reading(second) == [("a", 101, 200), ("b", 200, None)]
    assert switches(second) == [lsn(200)]
    raised_by_cleanup = [table(mark("a", 150), mark("b", 250, "2024-02-01"))]
    assert reading(observe(second, raised_by_cleanup, AT_100)) == [("a", 101, 200), ("b", 200, None)]


def test_an_older_new_instance_takes_over_at_the_next_transaction() -> None:
    first = observe({}, [table(mark("a", 10))], Position.end_of(lsn(20)))
    both = [table(mark("a", 10), mark("b", 50, "2024-02-01"))]
    assert reading(observe(first, both, INSIDE_100)) == [("a", 21, 101), ("b", 101, None)]


def test_an_instance_without_a_start_is_not_read_yet() -> None:
    first = observe({}, [table(mark("a", 10))], AT_100)
    assert reading(observe(first, [table(mark("a", 10), mark("b", None, "2024-02-01"))], AT_100)) == [("a", 101, None)]


def test_a_completely_read_instance_is_removed() -> None:
    first = observe({}, [table(mark("a", 10), mark("b", 200, "2024-02-01"))], AT_100)
    later = observe(first, [table(mark("b", 200, "2024-02-01"))], Position.end_of(lsn(199)))
    assert reading(later) == [("b", 200, None)]


def test_cleanup_past_the_next_lsn_is_a_gap() -> None:
    tables = observe({}, [table(mark("a", 10))], AT_100)
    at_150 = Position.end_of(lsn(150))
    assert gaps(tables, [mark("a", 151)], at_150) == []
    assert [gap.start_lsn for gap in gaps(tables, [mark("a", 152)], at_150)] == [lsn(152)]


def test_inside_a_transaction_cleanup_of_its_rows_is_a_gap() -> None:
    tables = observe({}, [table(mark("a", 10))], Position.end_of(lsn(20)))
    assert gaps(tables, [mark("a", 100)], INSIDE_100) == []
    assert len(gaps(tables, [mark("a", 101)], INSIDE_100)) == 1


def test_a_table_that_starts_later_has_no_gap_before_its_start() -> None:
    tables = observe({}, [table(mark("a", 300))], AT_100)
    assert gaps(tables, [mark("a", 300)], AT_100) == []
    assert len(gaps(tables, [mark("a", 301)], AT_100)) == 1


def test_the_highest_lsn_has_no_successor() -> None:
    assert increment_lsn(b"\xff" * 10) == b"\xff" * 10
