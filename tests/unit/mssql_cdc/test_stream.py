"""The reader over logs in memory: gaps, borders and limits. test_histories.py has random histories."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
from dstream_mssql_cdc.catalog.instances import CapturedTable, observe
from dstream_mssql_cdc.position import ZERO_LSN, Floor, Position, increment_lsn
from dstream_mssql_cdc.records.events import EventBuilder
from dstream_mssql_cdc.state import Database, ReaderState, load_state, stored_position
from dstream_mssql_cdc.stream.net_changes import NetChanges
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Page, Poll, Probe

from dstream.sdk import Checkpoint, Lines, Stop
from dstream.sdk.errors import RefusedError
from tests.unit.mssql_cdc.change_log import ChangeLog, LoggedSource, Row, Transaction, builder_for, is_after
from tests.unit.mssql_cdc.live_database import GUID

NO_WAIT = PollPace(poll_s=0.0, max_poll_s=0.0)


def fresh_state() -> ReaderState:
    return ReaderState(Database(GUID), stored_position(Position.end_of(ZERO_LSN)), None, {})


def lsn_of(number: int) -> bytes:
    return (0x2A0000000000000000 + number * 7).to_bytes(10)


def one_row(number: int, table: int = 0) -> Transaction:
    return Transaction(lsn_of(number), (Row(table, 1, number.to_bytes(10), 2, b"\x02\x03", (number, "A", None)),))


def received(items: Iterator[Lines | Checkpoint]) -> list[bytes]:
    return [line for item in items if isinstance(item, Lines) for line in item.data.splitlines()]


def test_a_table_whose_rows_were_all_cleaned_up_is_a_gap() -> None:
    log = ChangeLog(["dbo.T0", "dbo.T1"], [one_row(1, table=1), one_row(2)])
    first = ChangeStream(LoggedSource(log), fresh_state(), builder_for, NO_WAIT)
    assert len(received(first.lines(Stop(), until=lsn_of(2)))) == 2
    log.transactions = [one_row(2), Transaction(lsn_of(9), ())]
    log.start_lsns[1] = lsn_of(8)
    with pytest.raises(RefusedError) as caught:
        list(ChangeStream(LoggedSource(log), first.state, builder_for, NO_WAIT).lines(Stop(), until=lsn_of(9)))
    assert caught.value.code == "mssql.gap"
    assert "may have removed unread changes of dbo.T1" in caught.value.message


@pytest.mark.parametrize("strikes_at", range(1, 12))
def test_cleanup_at_any_moment_is_detected_before_anything_is_skipped(strikes_at: int) -> None:
    """Cleanup raises the watermark and removes rows just before the source answers the n-th query."""
    log = ChangeLog(["dbo.T0", "dbo.T1"], [one_row(1), one_row(2, table=1), one_row(3)])
    expected = log.expected_lines()
    start = fresh_state()
    state = msgspec.structs.replace(start, tables=observe({}, log.captured(), start.position))
    source = LoggedSource(log)
    queries = 0

    def strike() -> None:
        nonlocal queries
        queries += 1
        if queries == strikes_at:
            log.transactions = [Transaction(lsn_of(4), ())]
            log.start_lsns = dict.fromkeys((0, 1), increment_lsn(lsn_of(3)))

    source.before_answer = strike
    lines: list[bytes] = []
    failed = ""
    try:
        for item in ChangeStream(source, state, builder_for, NO_WAIT).lines(Stop(), until=lsn_of(3)):
            lines += item.data.splitlines() if isinstance(item, Lines) else []
    except RefusedError as error:
        failed = error.code
    assert failed in ("", "mssql.gap")
    assert lines == (expected[: len(lines)] if failed else expected)


@pytest.mark.parametrize("appears_at", range(1, 12))
def test_a_table_captured_at_any_moment_is_read_from_its_first_row(appears_at: int) -> None:
    """Its instance is created just before the source answers the n-th query, of the catalog or of a poll."""
    log = ChangeLog(["dbo.T0"], [one_row(1), one_row(2)])
    source = LoggedSource(log)
    queries = 0

    def appear() -> None:
        nonlocal queries
        queries += 1
        if queries == appears_at:
            log.names = ["dbo.T0", "dbo.T1"]
            log.start_lsns[1] = lsn_of(3)
            log.transactions += [one_row(3, table=1), one_row(4), one_row(5, table=1)]

    source.before_answer = appear
    lines = received(ChangeStream(source, fresh_state(), builder_for, NO_WAIT).lines(Stop(), until=lsn_of(5)))
    assert lines == log.expected_lines()


def test_on_gap_continue_resumes_with_the_remaining_rows() -> None:
    log = ChangeLog(["dbo.T0"], [one_row(1)])
    first = ChangeStream(LoggedSource(log), fresh_state(), builder_for, NO_WAIT)
    list(first.lines(Stop(), until=lsn_of(1)))
    log.start_lsns[0] = lsn_of(9)
    log.transactions = [one_row(5), one_row(9), one_row(10)]
    stream = ChangeStream(LoggedSource(log), first.state, builder_for, NO_WAIT, on_gap="continue")
    lines = received(stream.lines(Stop(), until=lsn_of(10)))
    assert [json.loads(line)["data"]["Id"] for line in lines] == [9, 10]


def test_cleanup_up_to_the_next_lsn_is_not_a_gap() -> None:
    log = ChangeLog(["dbo.T0"], [one_row(1), one_row(2)])
    stream = ChangeStream(LoggedSource(log), fresh_state(), builder_for, NO_WAIT)
    list(stream.lines(Stop(), until=lsn_of(2)))
    log.start_lsns[0] = stream.state.position.next_lsn
    log.transactions.append(one_row(3))
    assert len(received(stream.lines(Stop(), until=lsn_of(3)))) == 1


def test_the_position_advances_without_changes() -> None:
    log = ChangeLog(["dbo.T0"], [one_row(1), Transaction(lsn_of(5), ())])
    stream = ChangeStream(LoggedSource(log), fresh_state(), builder_for, NO_WAIT)
    list(stream.lines(Stop(), until=lsn_of(5)))
    assert stream.state.position == Position.end_of(lsn_of(5))


def test_a_stop_ends_with_a_checkpoint_of_the_yielded_lines() -> None:
    log = ChangeLog(["dbo.T0"], [one_row(number) for number in range(1, 8)])
    stop = Stop()
    pace = PollPace(0.0, 0.0, page_rows=1, window_transactions=1)
    stream = ChangeStream(LoggedSource(log), fresh_state(), builder_for, pace)
    items = []
    for item in stream.lines(stop):
        items.append(item)
        if isinstance(item, Lines):
            stop.set()
    assert isinstance(items[-1], Checkpoint)
    loaded = load_state(items[-1].state)
    assert loaded is not None
    assert loaded.position.lsn == lsn_of(1)


class CountingSource(LoggedSource):
    """Counts the queries of each kind, and the rows."""

    def __init__(self, log: ChangeLog) -> None:
        super().__init__(log)
        self.show_all()
        self.queries: Counter[str] = Counter()
        self.rows = 0

    def poll(self, from_lsn: bytes, limit: int) -> Poll:
        self.queries["poll"] += 1
        return super().poll(from_lsn, limit)

    def probe(self, instances: Sequence[str], from_lsn: bytes, upper: bytes) -> Probe:
        self.queries["probe"] += 1
        return super().probe(instances, from_lsn, upper)

    def page(
        self, instance: str, builder: EventBuilder, floor: Floor, upper: bytes, max_rows: int, max_bytes: int
    ) -> Page:
        self.queries["page"] += 1
        table = int(instance[2:])
        rows = [row for row in self.rows_of(table) if row[0] <= upper and is_after(row, floor)][:max_rows]
        self.rows += len(rows)
        return Page(rows, len(rows) == max_rows, [self.log.mark(table)])


def test_rows_in_memory_are_limited_whatever_the_number_of_tables() -> None:
    """Each of 60 tables has a few rows fewer than its share of what the tables before it left over."""
    names = [f"dbo.T{at}" for at in range(60)]
    rows = [
        Row(table, 1, number.to_bytes(10), 2, b"\x02\x03", (number, "A", None))
        for table in range(60)
        for number in range(max(1, 600 // (60 - table) - 1))
    ]
    log = ChangeLog(names, [Transaction(lsn_of(1), tuple(rows))])
    source = CountingSource(log)
    row_bytes = builder_for(log.captured()[0], "ci0").row_bytes
    pace = PollPace(0.0, 0.0, max_bytes=600 * row_bytes, min_page_bytes=0)
    lines, before_first = 0, 0
    for item in ChangeStream(source, fresh_state(), builder_for, pace).lines(Stop(), until=lsn_of(1)):
        if isinstance(item, Lines):
            before_first = before_first or source.rows
            lines += item.size
    assert lines == len(rows) > 2000
    assert before_first <= 600 + len(names)


def test_a_page_is_one_query_wherever_the_one_before_it_ended() -> None:
    two_rows = [
        tuple(Row(0, command, bytes([number] * 10), 2, b"\x02\x03", (number, "A", None)) for command in (1, 2))
        for number in range(1, 21)
    ]
    log = ChangeLog(["dbo.T0"], [Transaction(lsn_of(number), rows) for number, rows in enumerate(two_rows, 1)])
    source, pace = CountingSource(log), PollPace(0.0, 0.0, page_rows=9)
    lines = received(ChangeStream(source, fresh_state(), builder_for, pace).lines(Stop(), until=lsn_of(20)))
    assert lines == log.expected_lines()
    assert source.queries["page"] == 40 // 9 + 1


@pytest.mark.parametrize(("max_rows", "page_rows"), [(50, 10), (4, 4)])
def test_pages_have_a_minimum_size_however_many_tables_are_busy(max_rows: int, page_rows: int) -> None:
    """The minimum is 10 rows, but no more than the memory for all tables: `max_rows`."""
    tables, rows = 40, 30
    transactions = [
        Transaction(
            lsn_of(number),
            tuple(Row(table, 1, bytes([table] * 10), 2, b"\x02\x03", (number, "A", None)) for table in range(tables)),
        )
        for number in range(rows)
    ]
    log = ChangeLog([f"dbo.T{at}" for at in range(tables)], transactions)
    source = CountingSource(log)
    row_bytes = builder_for(log.captured()[0], "ci0").row_bytes
    pace = PollPace(0.0, 0.0, max_bytes=max_rows * row_bytes, min_page_bytes=10 * row_bytes)
    read_before_first = 0
    for item in ChangeStream(source, fresh_state(), builder_for, pace).lines(Stop(), until=lsn_of(rows - 1)):
        if isinstance(item, Lines):
            read_before_first = read_before_first or source.rows
    assert source.queries["page"] <= tables * (rows // page_rows + 1)
    assert read_before_first <= max_rows + tables * page_rows


def test_quiet_tables_cost_a_busy_one_nothing_but_a_probe_per_window() -> None:
    """In particular, they get no share of the memory: each page has the 50 rows that fit."""
    queries = []
    for tables in (1, 500):
        log = ChangeLog([f"dbo.T{at}" for at in range(tables)], [one_row(number) for number in range(200)])
        source = CountingSource(log)
        max_bytes = 50 * builder_for(log.captured()[0], "ci0").row_bytes
        pace = PollPace(0.0, 0.0, max_bytes=max_bytes, min_page_bytes=0, window_transactions=100)
        lines = received(ChangeStream(source, fresh_state(), builder_for, pace).lines(Stop(), until=lsn_of(199)))
        assert lines == log.expected_lines()
        queries.append(source.queries)
    alone, among_many = queries
    assert alone["page"] == among_many["page"] >= 200 // 50
    assert alone["poll"] == among_many["poll"]
    assert (alone["probe"], among_many["probe"]) == (0, 2)


def test_a_page_of_a_change_table_that_was_altered_since_the_catalog_was_read_is_read_again() -> None:
    dates = [datetime(2024, 1, day) for day in (1, 2)]
    events: list[str] = []

    class AlteredSource(LoggedSource):
        def captured(self) -> list[CapturedTable]:
            events.append("catalog")
            (table,) = super().captured()
            (one,) = table.instances
            mark = one.mark._replace(modified=dates[min(len(events), 2) - 1])
            return [replace(table, instances=(replace(one, mark=mark),))]

        def page(self, *arguments: Any) -> Page:
            events.append("page")
            page = super().page(*arguments)
            return replace(page, marks=[mark._replace(modified=dates[1]) for mark in page.marks])

    stream = ChangeStream(AlteredSource(ChangeLog(["dbo.T0"], [one_row(1)])), fresh_state(), builder_for, NO_WAIT)
    assert len(received(stream.lines(Stop(), until=lsn_of(1)))) == 1
    assert events == ["catalog", "page", "catalog", "page"]


@pytest.mark.parametrize("net", [None, NetChanges()])
def test_a_poll_is_due_one_interval_after_the_last_one_with_changes(net: NetChanges | None) -> None:
    """However long reading them took. The interval doubles while there are none."""
    now_s = 0.0
    waited_s: list[float] = []

    class SlowSource(LoggedSource):
        def page(self, *arguments: Any) -> Page:
            nonlocal now_s
            now_s += 0.4
            return super().page(*arguments)

    class Waits(Stop):
        def wait(self, timeout_s: float) -> bool:
            nonlocal now_s
            now_s += timeout_s
            waited_s.append(round(timeout_s, 6))
            if len(waited_s) == 5:
                self.set()
            return self.is_set()

    source, pace = SlowSource(ChangeLog(["dbo.T0"], [one_row(1)])), PollPace(poll_s=1.0, max_poll_s=3.0)
    stream = ChangeStream(source, fresh_state(), builder_for, pace, clock=lambda: now_s, net=net)
    assert len(received(stream.lines(Waits()))) == 1
    assert waited_s == [0.6, 1.0, 2.0, 3.0, 3.0]


def test_an_idle_poll_of_many_tables_is_one_query() -> None:
    rows = [Row(table, 1, table.to_bytes(10), 2, b"\x02\x03", (table, "A", None)) for table in range(500)]
    log = ChangeLog([f"dbo.T{at}" for at in range(500)], [Transaction(lsn_of(1), tuple(rows))])
    state = fresh_state().moved(Position.end_of(lsn_of(1)), None)
    source, stop = CountingSource(log), Stop()

    class StopAfterTen(Observer):
        def idle(self, poll: Poll) -> None:
            if source.queries["poll"] == 10:
                stop.set()

    list(ChangeStream(source, state, builder_for, NO_WAIT, observer=StopAfterTen()).lines(stop))
    assert source.queries == {"poll": 10}
