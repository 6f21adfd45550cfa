"""How many round trips reading takes, with Microsoft's driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from dstream_mssql_cdc.stream.observer import Observer
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace
from dstream_mssql_cdc.stream.source import Page, Poll

from dstream.sdk import Lines, Stop
from tests.integration.mssql_cdc.counted import RoundTrips, counted
from tests.integration.mssql_cdc.source_server import SourceDatabase, provider


class Idle(Observer):
    """Notes the number of round trips at each poll without changes, and stops at the last one."""

    def __init__(self, trips: RoundTrips, polls: int) -> None:
        self.counts: list[int] = []
        self.stop = Stop()
        self.trips = trips
        self._polls = polls

    def idle(self, poll: Poll) -> None:
        self.counts.append(self.trips.count)
        if len(self.counts) == self._polls:
            self.stop.set()


@contextmanager
def stream(database: SourceDatabase, pace: PollPace, polls: int) -> Iterator[tuple[ChangeStream, Idle]]:
    with counted(database.server.port) as trips:
        config = database.config("dbo.*")
        port = str(database.server.port)
        config["db_connection_string"] = config["db_connection_string"].replace(f",{port};", f",{trips.port};")
        one = provider(config, lambda line: None)
        try:
            one.start()
            assert one._server is not None
            idle = Idle(trips, polls)
            yield ChangeStream(one._server, one._start_state({}), one._builder, pace, observer=idle), idle
        finally:
            one.close()


def tables(database: SourceDatabase, count: int, rows: int = 0) -> None:
    for number in range(count):
        database.run(f"CREATE TABLE dbo.T{number} (Id int PRIMARY KEY, Name nvarchar(50))")
        database.capture(f"dbo.T{number}")
    for number in range(count):
        for row in range(rows):
            database.run(f"INSERT INTO dbo.T{number} VALUES (?, N'name')", row)


def test_an_idle_poll_of_many_tables_is_one_round_trip(database: SourceDatabase) -> None:
    tables(database, 60)
    with stream(database, PollPace(0.0, 0.0), polls=10) as (reading, idle):
        assert [*reading.lines(idle.stop)]
    assert [after - before for before, after in pairwise(idle.counts)] == [1] * 9


def test_a_page_is_one_round_trip_wherever_the_one_before_it_ended(database: SourceDatabase) -> None:
    tables(database, 2, rows=7)
    with stream(database, PollPace(0.0, 0.0, page_rows=2), polls=1) as (reading, idle):
        page, of_pages = reading.source.page, []

        def counted_page(*arguments: Any) -> Page:
            before = idle.trips.count
            read = page(*arguments)
            of_pages.append(idle.trips.count - before)
            return read

        reading.source.page = counted_page  # type: ignore[method-assign]
        rows = sum(item.size for item in reading.lines(idle.stop) if isinstance(item, Lines))
    assert rows == 14
    assert of_pages == [1] * 8
