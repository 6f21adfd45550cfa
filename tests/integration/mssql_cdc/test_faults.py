"""Faults of the server at every moment of a run: the reader resumes and writes what an undisturbed run writes, or
stops and says why."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dstream_mssql_cdc.server import backoff

from dstream.sdk import Stop
from dstream.sdk.errors import DStreamError
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, SourceServer, read

PACE = {"page_rows": 2, "checkpoint_lines": 1}
PAGE = {"statement": "ORDER BY [__$start_lsn]"}

MOMENTS: dict[str, dict[str, Any]] = {
    "poll": {"statement": "DATABASEPROPERTYEX", "after": 1},
    "probe": {"statement": "AS place WHERE EXISTS"},
    "page": PAGE,
    "in the middle of a page": {**PAGE, "at": "result"},
    "between pages": {**PAGE, "after": 2},
    "catalog": {"statement": "cdc.captured_columns", "after": 2},
}
FAULTS: dict[str, dict[str, Any]] = {
    "deadlock": {"number": 1205},
    "killed session": {"number": 596},
    "throttling": {"number": 40501},
    "too few resources": {"number": 49918},
    "database unavailable": {"number": 40613},
    "lost connection": {"action": "drop"},
    "slow answer": {"action": "delay", "seconds": 0.05},
}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch, server: SourceServer) -> Iterator[None]:
    monkeypatch.setattr(backoff, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(backoff, "_LONGEST_WAIT_S", 0.1)
    yield
    server.clear_faults()


@pytest.fixture
def source(database: SourceDatabase) -> SourceDatabase:
    """A database with two tables, changed in three transactions."""
    for table in ("A", "B"):
        database.run(f"CREATE TABLE dbo.{table} (Id int PRIMARY KEY)")
        database.capture(f"dbo.{table}")
    for start in (0, 10, 20):
        with database.transaction():
            for table in ("A", "B"):
                database.run(f"INSERT INTO dbo.{table} VALUES ({start}), ({start + 1}), ({start + 2})")
    return database


@pytest.fixture
def expected(source: SourceDatabase) -> list[bytes]:
    """The lines of an undisturbed run."""
    lines = read(source.config("A", "B"), pace=PACE).lines
    assert len(lines) == 18
    return lines


def disturbed(source: SourceDatabase, *faults: Mapping[str, Any], **settings: Any) -> Reading:
    """Read everything. The position never goes back."""
    for fault in faults:
        source.server.fault(**{"times": 1, **fault})
    reading = read({**source.config("A", "B"), **settings}, pace=PACE)
    positions = [(state["pos"], lines) for lines, state in reading.states]
    assert positions == sorted(positions)
    return reading


@pytest.mark.parametrize("moment", MOMENTS)
def test_faults_neither_lose_nor_repeat_rows(source: SourceDatabase, expected: list[bytes], moment: str) -> None:
    reading = disturbed(source, *({**MOMENTS[moment], **fault} for fault in FAULTS.values()))
    assert reading.lines == expected
    assert reading.told.count("mssql.reconnected") == len(FAULTS) - 1  # a slow answer needs none


@pytest.mark.parametrize("when", [{}, {"at": "result"}, {"after": 1}], ids=str)
def test_faults_in_a_snapshot_neither_lose_nor_repeat_rows(source: SourceDatabase, when: dict[str, Any]) -> None:
    expected = read(source.config("A", "B", start_from="snapshot"), pace=PACE).rows
    assert len(expected) == 18
    chunk = {"statement": "ORDER BY [Id]", **when}
    faults = ({**chunk, **fault} for fault in FAULTS.values())
    reading = disturbed(source, *faults, start_from="snapshot")
    assert reading.rows == expected
    assert reading.told.count("mssql.reconnected") == len(FAULTS) - 1


def test_faults_while_reconnecting_are_retried(source: SourceDatabase, expected: list[bytes]) -> None:
    refusals = [
        {"number": 40613, "times": 2},
        {"number": 4060},
        {"number": 18456},
        {"number": 10928},
        {"action": "drop"},
    ]
    faults = [{"at": "login", "after": 1, **fault} for fault in refusals]
    reading = disturbed(source, {**PAGE, "action": "drop"}, *faults)
    assert reading.lines == expected
    assert reading.told.count("mssql.reconnect") == 7
    assert reading.told.count("mssql.reconnected") == 1


@pytest.mark.parametrize("at", ["statement", "result", "login"])
def test_a_silent_server_is_left_after_a_timeout(source: SourceDatabase, expected: list[bytes], at: str) -> None:
    faults: list[dict[str, Any]] = [{**PAGE, "at": at, "action": "silence"}]
    if at == "login":
        faults = [{**PAGE, "action": "drop"}, {"at": at, "after": 1, "action": "silence"}]
    text = source.config()["db_connection_string"] + ";timeout=1"
    reading = disturbed(source, *faults, db_connection_string=text, query_timeout="1s")
    assert reading.lines == expected
    assert reading.told[-1] == "mssql.once_done"
    assert "mssql.reconnected" in reading.told


@pytest.mark.parametrize(
    ("fault", "code", "hint"),
    [
        ({"number": 18456, "at": "login", "after": 1}, "mssql.login_failed", "ALTER LOGIN"),
        ({"number": 229, **PAGE}, "mssql.no_grant", "GRANT SELECT"),
        ({"number": 8134, **PAGE}, "mssql.query_failed", ""),
    ],
)
def test_a_lasting_fault_ends_the_run(source: SourceDatabase, fault: dict[str, Any], code: str, hint: str) -> None:
    source.server.fault(**PAGE, action="drop", times=1)
    source.server.fault(**fault)
    with pytest.raises(DStreamError) as caught:
        read(source.config("A", "B"), pace=PACE)
    assert caught.value.code == code
    assert hint in caught.value.hint


def test_a_failover_that_loses_rows_already_read_ends_the_run(source: SourceDatabase) -> None:
    source.run(f"BACKUP DATABASE [{source.name}] TO DISK = N'{source.name}.bak'")
    source.run("INSERT INTO dbo.A VALUES (30)")
    state = read(source.config("A", "B")).state
    source.run("INSERT INTO dbo.A VALUES (31)")
    source.server.fault(**PAGE, action="failover", entity=source.name, times=1)
    with pytest.raises(DStreamError) as caught:
        read(source.config("A", "B"), state, pace={**PACE, "restored_after_s": 0.2})
    assert caught.value.code == "mssql.restored"
    source.connection = source.server.connect(source.name)
    assert source.rows("SELECT MAX(Id) FROM dbo.A")[0][0] == 22


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_random_faults_neither_lose_nor_repeat_rows(source: SourceDatabase) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    moments = [when for moment, when in MOMENTS.items() if moment != "catalog"]  # read only after another fault
    rows = [18]
    is_over = threading.Event()

    def disturb() -> None:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            if not source.server.faults():
                when = {**chance.choice(moments), "after": chance.randrange(3)}
                source.server.fault(**when, **chance.choice(list(FAULTS.values())), times=chance.randint(1, 2))
                if chance.random() < 0.3:
                    source.server.fault(at="login", times=1, **chance.choice([{"number": 40613}, {"action": "drop"}]))
            with source.transaction():
                for _ in range(chance.randint(1, 20)):
                    rows[0] += 1
                    source.run(f"INSERT INTO dbo.{chance.choice('AB')} VALUES ({rows[0] + 100})")
        source.server.clear_faults()
        rows[0] += 1
        is_over.set()
        source.run("INSERT INTO dbo.A VALUES (99)")  # read after `is_over`

    disturbing = threading.Thread(target=disturb)

    def watch(reading: Reading, stop: Stop) -> None:
        if not disturbing.ident:
            disturbing.start()
        if is_over.is_set() and len(reading.lines) >= rows[0]:
            stop.set()

    config = source.config("A", "B", poll_interval="10ms", max_poll_interval="20ms")
    reading = read(config, on_item=watch, pace={"page_rows": 20}, once=False)
    disturbing.join()
    assert reading.told.count("mssql.reconnected") > 10, f"seed {seed}"
    assert reading.lines == read(source.config("A", "B")).lines, f"seed {seed}"
