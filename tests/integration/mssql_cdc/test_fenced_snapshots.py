"""Fenced snapshots through pyodbc: the rows of a table as of one LSN, whatever is written and captured meanwhile."""

from __future__ import annotations

import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dstream_mssql_cdc.snapshot import statements

from dstream.sdk import Stop
from dstream.sdk.errors import AuthError, ConfigError
from tests.integration.mssql_cdc.source_server import PASSWORD, Reading, SourceDatabase, provider, read, wait_until


@pytest.fixture
def source(database: SourceDatabase) -> SourceDatabase:
    """Three rows from before capture."""
    database.run("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
    database.run("CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, Name nvarchar(max))")
    database.run("INSERT INTO dbo.T VALUES (1, N'one'), (2, N'two'), (3, N'three')")
    database.capture("dbo.T")
    return database


def config(source: SourceDatabase, table: str = "T") -> dict[str, Any]:
    return source.config(table, start_from="snapshot", snapshot={"mode": "fenced"})


def test_the_rows_contain_exactly_the_changes_that_overlap(source: SourceDatabase) -> None:
    moments = ["before the fence", "between two rows"]

    def write(reading: Reading, stop: Stop) -> None:
        is_reading = any(kind == "Read" for kind, _ in reading.rows)
        if len(moments) == 2:
            source.run("INSERT INTO dbo.T VALUES (4, N'four')")
            source.run("DELETE dbo.T WHERE Id = 1")
            moments.pop()
        elif moments and is_reading:
            source.run("INSERT INTO dbo.T VALUES (0, N'zero')")
            source.run("UPDATE dbo.T SET Name = N'new' WHERE Id = 3")
            source.run("DELETE dbo.T WHERE Id = 4")
            moments.pop()

    first = read(config(source), on_item=write, pace={"page_rows": 1})
    events = first.events + read(config(source), first.state).events
    rows = [event for event in events if event["metadata"]["OperationType"] == "Read"]
    assert sorted((row["data"]["Id"], row["data"]["Name"]) for row in rows) == [(2, "two"), (3, "three"), (4, "four")]
    changes = [event for event in events if event not in rows]
    kinds = [(event["metadata"]["OperationType"], event["data"]["Id"]) for event in changes]
    assert kinds == [("Insert", 4), ("Delete", 1), ("Insert", 0), ("Update", 3), ("Delete", 4)]
    assert [event["metadata"].get("Overlap", False) for event in changes] == [True, True, False, False, False]
    (lsn,) = {row["metadata"]["LSN"] for row in rows}
    assert [event["metadata"]["LSN"] < lsn for event in changes] == [True, True, False, False, False]


def test_an_interrupted_pass_starts_over_at_a_later_lsn_with_other_ids(source: SourceDatabase) -> None:
    first = read(config(source), stop_after=3, pace={"page_rows": 1})
    assert len(first.lines) == 1
    source.run("DELETE dbo.T WHERE Id = 1")
    source.run("INSERT INTO dbo.T VALUES (4, N'four')")
    second = read(config(source), first.state)
    rows = [event for event in second.events if event["metadata"]["OperationType"] == "Read"]
    assert sorted(row["data"]["Id"] for row in rows) == [2, 3, 4]
    assert rows[0]["metadata"]["LSN"] > first.events[0]["metadata"]["LSN"]
    assert len({event["metadata"]["Id"] for event in first.events + rows}) == 4
    assert "snapshot" not in second.state["tables"]["dbo.T"]


def test_the_fence_waits_for_a_writer_that_has_not_committed(
    source: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_LOCK_TIMEOUT_MS", 20)
    source.run("BEGIN TRANSACTION")
    source.run("INSERT INTO dbo.T VALUES (4, N'four')")
    telemetry: list[dict[str, Any]] = []

    def waits() -> list[dict[str, Any]]:
        return [line for line in [*telemetry] if line.get("event") == "mssql.reconnect"]

    def commit() -> None:
        wait_until(waits, "a lock timeout", 120)
        source.run("COMMIT")

    writer = threading.Thread(target=commit)
    writer.start()
    reading = read(config(source), telemetry=telemetry)
    writer.join()
    assert sorted(data["Id"] for kind, data in reading.rows if kind == "Read") == [1, 2, 3, 4]
    assert "Lock request time out" in waits()[0]["cause"]


def test_a_table_without_a_key_is_fenced_too(source: SourceDatabase) -> None:
    source.run("CREATE TABLE dbo.U (Name nvarchar(9))")
    source.capture("dbo.U")
    first = read(config(source, "U"))
    assert first.rows == []
    assert "snapshot" not in first.state["tables"]["dbo.U"]
    source.run("INSERT INTO dbo.U VALUES (N'a'), (N'b')")
    second = read(config(source, "U"), first.state, before_read=lambda one: one.snapshot(["U"]))
    assert sorted(data["Name"] for kind, data in second.rows if kind == "Read") == ["a", "b"]


def test_a_login_or_a_database_that_allows_no_fence_is_refused_at_start(source: SourceDatabase) -> None:
    login = f"fenced_{source.name}"
    source.run(f"CREATE LOGIN [{login}] WITH PASSWORD = 'Correct-horse-2'")
    source.run(f"CREATE USER [{login}] FOR LOGIN [{login}]")
    for schema in ("cdc", "dbo"):
        source.run(f"GRANT SELECT ON SCHEMA::{schema} TO [{login}]")
    settings = config(source)
    text = settings["db_connection_string"].replace("UID=sa", f"UID={login}").replace(PASSWORD, "Correct-horse-2")
    settings["db_connection_string"] = text
    with pytest.raises(AuthError) as denied:
        read(settings)
    assert f"GRANT VIEW SERVER STATE TO [{login}];" in str(denied.value.hint)
    source.run(f"USE master; GRANT VIEW SERVER STATE TO [{login}]; USE [{source.name}]")
    assert [kind for kind, _ in read(settings).rows] == ["Read"] * 3
    source.run("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    with pytest.raises(ConfigError) as refused:
        read(settings)
    assert refused.value.code == "mssql.no_fence"
    assert "SET ALLOW_SNAPSHOT_ISOLATION ON" in str(refused.value.hint)


def test_a_fence_fixes_the_rows_before_they_are_read_and_keeps_no_writer_waiting(source: SourceDatabase) -> None:
    one = provider(config(source), lambda line: None, once=True)
    one.start()
    try:
        server = one._server
        assert server is not None
        (table,) = server.captured()
        described, builder = server.describe(table.object_id), one._builder(table, "dbo_T")
        source.run("INSERT INTO dbo.T VALUES (4, N'four')")
        with server.fence(described) as fence:
            source.run("INSERT INTO dbo.T VALUES (5, N'five')")
            rows = [row for chunk in fence.scan(described, builder, 100, 10**6) for row in chunk.rows]
        assert sorted(row[0] for row in rows) == [1, 2, 3, 4]
        changes = wait_until(
            lambda: (
                found if len(found := source.rows("SELECT [__$start_lsn] FROM cdc.dbo_T_CT ORDER BY Id")) == 2 else ()
            ),
            "both changes are captured",
        )
        assert [lsn > fence.lsn for (lsn,) in changes] == [False, True]
    finally:
        one.close()


def test_a_copy_that_ignores_overlap_equals_the_table_while_sessions_write(source: SourceDatabase) -> None:
    keys = range(1, 41)

    def write(seed: int) -> None:
        chance = random.Random(seed)
        with contextlib.closing(source.server.connect(source.name)) as session:
            for number in range(60):
                key = chance.choice(keys)
                session.execute(
                    chance.choice(
                        [
                            f"INSERT INTO dbo.T SELECT {key}, N'{seed}.{number}' WHERE NOT EXISTS "
                            f"(SELECT 1 FROM dbo.T WITH (UPDLOCK, HOLDLOCK) WHERE Id = {key})",
                            f"UPDATE dbo.T SET Name = N'{seed}.{number}' WHERE Id = {key}",
                            f"DELETE dbo.T WHERE Id = {key}",
                        ]
                    )
                ).close()

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, seed) for seed in (1, 2)]
        events = (first := read(config(source), pace={"page_rows": 3})).events
        for writer in writers:
            writer.result()
    source.run("INSERT INTO dbo.T VALUES (99, N'the last')")
    states = [first.state]
    while not any(event["data"]["Id"] == 99 for event in events):
        reading = read(config(source), states[-1])
        events, states = events + reading.events, [*states, reading.state]
    copy: dict[int, str] = {}
    for event in events:
        kind, key = event["metadata"]["OperationType"], event["data"]["Id"]
        if event["metadata"].get("Overlap"):
            continue
        assert (key in copy) is (kind in ("Update", "Delete")), event
        copy[key] = event["data"].get("Name", copy.get(key))
        if kind == "Delete":
            del copy[key]
    assert copy == {row[0]: row[1] for row in source.rows("SELECT Id, Name FROM dbo.T")}


def test_a_pass_whose_connection_is_lost_starts_over(source: SourceDatabase) -> None:
    source.server.fault(action="drop", at="result", statement="FROM [dbo].[T];", entity=source.name, times=1)
    reading = read(config(source))
    assert "mssql.reconnect" in reading.told
    rows = [event["metadata"] for event in reading.events if event["metadata"]["OperationType"] == "Read"]
    assert len({row["Id"] for row in rows}) == len(rows)
    assert sorted(data["Id"] for _, data in reading.rows[-3:]) == [1, 2, 3]
    assert "snapshot" not in reading.state["tables"]["dbo.T"]
