"""A restored database, a forced failover, a lagging secondary: which polls belong to the position's history."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest
from dstream_mssql_cdc.catalog.instances import Watermark
from dstream_mssql_cdc.position import Position
from dstream_mssql_cdc.state import Database, ReaderState, stored_position
from dstream_mssql_cdc.stream.history import HistoryCheck
from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Poll
from dstream_mssql_cdc.stream.window import Mapped

from dstream.sdk import Lines, Stop
from dstream.sdk.errors import RefusedError
from tests.unit.mssql_cdc.change_log import ChangeLog, LoggedSource, Row, Transaction, builder_for
from tests.unit.mssql_cdc.live_database import GUID

NO_WAIT = PollPace(poll_s=0.0, max_poll_s=0.0)
TRAN = "01" * 10


def lsn(number: int) -> bytes:
    return number.to_bytes(10)


def poll(max_lsn: int, mapped: list[tuple[int, str]], starts: list[int], *, read_only: bool = False) -> Poll:
    rows = [Mapped(lsn(at), bytes.fromhex(tran), "2024-02-29T00:00:00.000") for at, tran in mapped]
    marks = [Watermark(f"ci{at}", at, at, lsn(start), "2024-01-01") for at, start in enumerate(starts)]
    return Poll(lsn(max_lsn), datetime(2024, 3, 1), rows, marks, read_only)


def check(answer: Poll, tran_id: str | None = TRAN, *, now: float = 0.0) -> bool:
    return HistoryCheck(lambda: now, 300.0).check(answer, lsn(100), tran_id)


def test_the_same_transaction_at_the_position_is_the_same_history() -> None:
    assert not check(poll(110, [(100, TRAN), (110, "02" * 10)], [10]))


def test_another_transaction_at_the_position_is_another_history() -> None:
    with pytest.raises(RefusedError, match="restored"):
        check(poll(110, [(100, "ff" * 10)], [10]))


def test_a_position_at_the_start_of_an_instance_is_not_ahead() -> None:
    """A snapshot starts there right after capture was enabled, before anything was captured."""
    history = HistoryCheck(iter([0.0, 1000.0]).__next__, 300.0)
    for _ in range(3):
        assert not history.check(poll(90, [], [10, 100]), lsn(100), None)


def test_a_missing_transaction_at_the_position_is_another_history() -> None:
    with pytest.raises(RefusedError, match="has no LSN"):
        check(poll(110, [(110, "02" * 10)], [10, 105]))


def test_a_transaction_that_cleanup_removed_is_not_another_history() -> None:
    """Cleanup removes mapping rows only below every instance's start_lsn."""
    assert not check(poll(110, [(110, "02" * 10)], [101, 105]))
    with pytest.raises(RefusedError):
        check(poll(110, [(110, "02" * 10)], [100, 105]))


def test_a_position_without_a_known_transaction_is_not_compared() -> None:
    assert not check(poll(110, [(110, "02" * 10)], [10]), tran_id=None)


def test_a_writable_database_behind_the_position_is_refused_after_a_timeout() -> None:
    now = [0.0]
    history = HistoryCheck(lambda: now[0], 300.0)
    behind = poll(80, [], [10])
    assert not history.check(behind, lsn(100), TRAN)
    now[0] = 299.0
    assert not history.check(behind, lsn(100), TRAN)
    now[0] = 300.0
    with pytest.raises(RefusedError) as caught:
        history.check(behind, lsn(100), TRAN)
    assert caught.value.code == "mssql.restored"


def test_a_secondary_behind_the_position_is_reported_once_and_waited_for() -> None:
    now = [0.0]
    history = HistoryCheck(lambda: now[0], 300.0)
    behind = poll(80, [], [10], read_only=True)
    assert history.check(behind, lsn(100), TRAN)
    now[0] = 10_000.0
    assert not history.check(behind, lsn(100), TRAN)
    assert not history.check(poll(100, [(100, TRAN)], [10], read_only=True), lsn(100), TRAN)
    assert history.check(behind, lsn(100), TRAN)


def one_row(number: int, *, fork: int = 1) -> Transaction:
    row = Row(0, 1, number.to_bytes(10), 2, b"\x02\x03", (number, "A", None))
    return Transaction(lsn(number), (row,), fork)


def test_a_new_history_that_has_passed_the_position_is_refused() -> None:
    """Position 100; restored to 80, and 90, 95 and 110 are new: 90 and 95 must not be skipped."""
    log = ChangeLog(["dbo.T0"], [one_row(number) for number in (70, 80, 100)])
    state = ReaderState(Database(GUID), stored_position(Position.end_of(lsn(60))), None, {})
    stream = ChangeStream(LoggedSource(log), state, builder_for, NO_WAIT)
    first = list(stream.lines(Stop(), until=lsn(100)))
    ids = [json.loads(line)["data"]["Id"] for item in first if isinstance(item, Lines) for line in item.data.split()]
    assert ids == [70, 80, 100]
    log.transactions = [one_row(70), one_row(80), *(one_row(number, fork=2) for number in (90, 95, 110))]
    again = ChangeStream(LoggedSource(log), stream.state, builder_for, NO_WAIT)
    with pytest.raises(RefusedError) as caught:
        list(again.lines(Stop(), until=lsn(110)))
    assert caught.value.code == "mssql.restored"


def test_the_transaction_at_a_start_position_is_remembered_once_seen() -> None:
    log = ChangeLog(["dbo.T0"], [one_row(70), one_row(80)])
    state = ReaderState(Database(GUID), stored_position(Position.end_of(lsn(80))), None, {})
    stream = ChangeStream(LoggedSource(log), state, builder_for, replace(NO_WAIT, restored_after_s=0.0))
    stop = Stop()

    class StopOnceIdle(Observer):
        def idle(self, poll: Poll) -> None:
            if poll.mapped:
                stop.set()

    stream._observer = StopOnceIdle()
    source = LoggedSource(log)
    source.show_all()
    stream.source = source
    list(stream.lines(stop))
    assert stream.state.tran_id == one_row(80).tran_id.hex()
