"""Snapshots through pyodbc: rows that equal the stream's, tables that change meanwhile, and refusals."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest
from dstream_mssql_cdc.provider import MssqlCdc

from dstream.sdk import Stop
from dstream.sdk.errors import AuthError, DataError
from tests.integration.mssql_cdc.source_server import PASSWORD, Reading, SourceDatabase, read

SNAPSHOT = {"start_from": "snapshot"}


def persons(database: SourceDatabase, rows: int = 3, name: str = "dbo.Persons", key: str = "PRIMARY KEY") -> None:
    database.run(f"CREATE TABLE {name} (Id int NOT NULL {key}, Name nvarchar(max))")
    database.run(f"INSERT INTO {name} SELECT value, CONCAT(N'name ', value) FROM GENERATE_SERIES(1, {rows})")
    database.capture(name)


def told(reading: Reading, event: str) -> list[dict[str, Any]]:
    return [line for line in reading.telemetry if line.get("event") == event]


def test_rows_from_before_capture_are_read_and_then_the_changes(database: SourceDatabase) -> None:
    persons(database)
    guid = database.rows("SELECT service_broker_guid FROM sys.databases WHERE name = DB_NAME()")[0][0].lower()
    object_id = database.rows("SELECT OBJECT_ID('dbo.Persons')")[0][0]
    first = read(database.config("Persons", **SNAPSHOT))
    assert first.rows == [("Read", {"Id": at, "Name": f"name {at}"}) for at in (1, 2, 3)]
    lsn = first.states[0][1]["pos"][0]
    snapshot = first.states[0][1]["tables"]["dbo.Persons"]["snapshot"]["id"]
    digest = hashlib.sha256(b"[1]").hexdigest()[:32]
    assert first.events[0]["metadata"] == {
        "V": 1,
        "TableName": "dbo.Persons",
        "OperationType": "Read",
        "OperationID": 0,
        "LSN": lsn,
        "Seq": "0" * 20,
        "CommandId": None,
        "CommitTime": None,
        "Key": ["Id"],
        "Changed": [],
        "Unchanged": [],
        "Id": f"{guid[:8]}/{object_id}/s{snapshot}/{digest}",
    }
    assert [state["v"] for lines, state in first.states] == [1 if lines == 3 else 2 for lines, _ in first.states]
    assert told(first, "mssql.snapshot_begun")[0]["expected_rows"] == 3
    assert told(first, "mssql.snapshot_done")[0]["rows"] == 3
    database.run("UPDATE dbo.Persons SET Name = N'Ada' WHERE Id = 2")
    second = read(database.config("Persons", **SNAPSHOT), first.state)
    assert second.rows == [("Update", {"Id": 2, "Name": "Ada"})]
    assert second.events[0]["metadata"]["Overlap"] is True


def test_a_change_committed_after_the_snapshot_does_not_overlap(database: SourceDatabase) -> None:
    persons(database)
    first = read(database.config("Persons", **SNAPSHOT))
    table = first.state["tables"]["dbo.Persons"]
    passed = {**first.state, "tables": {"dbo.Persons": {**table, "overlap": "2000-01-01T00:00:00.000"}}}
    database.run("INSERT INTO dbo.Persons VALUES (9, N'late')")
    second = read(database.config("Persons", **SNAPSHOT), passed)
    assert "Overlap" not in second.events[0]["metadata"]
    assert "overlap" not in second.state["tables"]["dbo.Persons"]


@pytest.mark.parametrize("key", ["", "hidden"])
def test_a_table_without_a_stored_key_starts_over_with_another_id(database: SourceDatabase, key: str) -> None:
    persons(database, rows=5, key="PRIMARY KEY" if key else "")
    config = database.config("Persons", **SNAPSHOT)
    if key:
        config |= {"columns": {"Persons": {"hash": ["Id"]}}, "hash_key": "k"}
    first = read(config, stop_after=3, pace={"page_rows": 2})
    assert len(first.lines) == 2
    again = read(config, first.state, pace={"page_rows": 2})
    names = [event["data"]["Name"] for event in again.events]
    assert sorted(names) == [f"name {at}" for at in range(1, 6)]
    ids = [event["metadata"]["Id"] for event in first.events + again.events]
    assert len(set(ids)) == 7
    assert "after" not in first.state["tables"]["dbo.Persons"]["snapshot"]


def test_large_values_are_read_in_small_chunks_and_refused_beyond_the_limit(database: SourceDatabase) -> None:
    persons(database)
    for at in range(4, 10):
        database.run("INSERT INTO dbo.Persons VALUES (?, REPLICATE(CONVERT(nvarchar(max), N'x'), 30000))", at)
    reading = read(database.config("Persons", **SNAPSHOT, max_bytes_per_poll="64KiB"))
    assert [len(event["data"]["Name"]) for event in reading.events][3:] == [30000] * 6
    assert len(reading.states) > 4
    database.run("INSERT INTO dbo.Persons VALUES (99, REPLICATE(CONVERT(nvarchar(max), N'x'), 40000))")
    with pytest.raises(DataError, match=r"dbo\.Persons\.Name has 80,000 bytes at Id=99"):
        read(database.config("Persons", **SNAPSHOT), max_line=140_000)


def test_a_captured_column_that_the_table_no_longer_has_is_null(database: SourceDatabase) -> None:
    persons(database)
    database.run("ALTER TABLE dbo.Persons DROP COLUMN Name")
    assert read(database.config("Persons", **SNAPSHOT)).rows[0] == ("Read", {"Id": 1, "Name": None})


def test_a_table_that_is_renamed_meanwhile_continues_under_its_new_name(database: SourceDatabase) -> None:
    persons(database, rows=5)
    first = read(database.config("dbo.*", **SNAPSHOT), stop_after=3, pace={"page_rows": 2})
    database.run("EXEC sp_rename 'dbo.Persons', 'People'")
    second = read(database.config("dbo.*", **SNAPSHOT), first.state)
    assert [data["Id"] for _, data in first.rows] == [1, 2]
    assert [data["Id"] for _, data in second.rows] == [3, 4, 5]
    assert {event["metadata"]["TableName"] for event in second.events} == {"dbo.People"}


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("moment", [2, 3])
def test_a_table_that_gets_the_name_of_another_one_is_not_read_in_its_place(
    database: SourceDatabase, key: str, moment: int
) -> None:
    persons(database, rows=5, key=key)
    items = itertools.count(1)

    def swap(reading: Reading, stop: Stop) -> None:
        if next(items) == moment:
            database.run("EXEC sp_rename 'dbo.Persons', 'Former'")
            database.run("CREATE TABLE dbo.Persons (Id int NOT NULL PRIMARY KEY, Name nvarchar(max))")
            database.run("INSERT INTO dbo.Persons VALUES (100, N'not captured')")

    reading = read(database.config("dbo.*", **SNAPSHOT), on_item=swap, pace={"page_rows": 2})
    assert sorted({data["Id"] for _, data in reading.rows}) == [1, 2, 3, 4, 5]


def test_a_table_added_later_gets_its_rows_while_others_go_on(database: SourceDatabase) -> None:
    persons(database, name="dbo.A")
    persons(database, name="dbo.B")
    first = read(database.config("A", **SNAPSHOT))
    database.run("INSERT INTO dbo.A VALUES (4, N'new')")
    second = read(database.config("A", "B", **SNAPSHOT), first.state)
    assert sorted(second.rows, key=str) == [
        ("Insert", {"Id": 4, "Name": "new"}),
        *(("Read", {"Id": at, "Name": f"name {at}"}) for at in (1, 2, 3)),
    ]
    third = read(database.config("A", "B", start_from="earliest"), first.state)
    assert [operation for operation, _ in third.rows] == ["Insert"]


def test_on_gap_resnapshot_reads_the_rows_of_the_table_with_the_gap(database: SourceDatabase) -> None:
    persons(database, name="dbo.A")
    persons(database, name="dbo.B")
    first = read(database.config("A", "B", start_from="latest"))
    database.run("UPDATE dbo.A SET Name = N'lost' WHERE Id = 1")
    database.run("UPDATE dbo.B SET Name = N'kept' WHERE Id = 1")
    database.run(
        "DECLARE @up_to binary(10) = sys.fn_cdc_get_max_lsn(); EXEC sys.sp_cdc_cleanup_change_table N'dbo_A', @up_to"
    )
    config = database.config("A", "B", on_gap="resnapshot")
    second = read(config, first.state)
    rows = [(event["metadata"]["TableName"], *row) for event, row in zip(second.events, second.rows, strict=True)]
    assert ("dbo.A", "Read", {"Id": 1, "Name": "lost"}) in rows
    assert [row for row in rows if row[0] == "dbo.B"] == [("dbo.B", "Update", {"Id": 1, "Name": "kept"})]
    assert told(second, "mssql.gap")[0]["table"] == "dbo.A"


def test_once_ends_with_what_is_captured_when_the_last_row_has_been_read(database: SourceDatabase) -> None:
    persons(database, rows=4)

    def write(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 2 and len(reading.states) == 3:
            database.run("UPDATE dbo.Persons SET Name = N'changed'")

    reading = read(database.config("Persons", **SNAPSHOT), on_item=write, pace={"page_rows": 1})
    copy = {data["Id"]: data["Name"] for _, data in reading.rows}
    assert copy == dict.fromkeys((1, 2, 3, 4), "changed")


def test_a_requested_snapshot_is_read_while_the_stream_goes_on(database: SourceDatabase) -> None:
    persons(database, rows=3)
    persons(database, name="dbo.Other")
    config = database.config("Persons", "Other", start_from="latest")
    first = read(config)
    database.run("UPDATE dbo.Other SET Name = N'changed' WHERE Id = 1")

    def ask(one: MssqlCdc) -> None:
        one.snapshot(["persons", "dbo.Unknown", "a.b.c"])

    second = read(config, first.state, before_read=ask, pace={"page_rows": 2})
    assert [kind for kind, _ in second.rows] == ["Update", "Read", "Read", "Read"]
    assert [line["tables"] for line in told(second, "mssql.snapshot_begins")] == [["dbo.Persons"]]
    assert [line["table"] for line in told(second, "mssql.snapshot_refused")] == ["dbo.Unknown", "a.b.c"]
    begun = next(state for _, state in second.states if "snapshot" in state["tables"]["dbo.Persons"])
    assert read(config, begun).rows == second.rows[1:]


def test_a_requested_snapshot_that_the_login_may_not_read_does_not_end_the_stream(database: SourceDatabase) -> None:
    persons(database)
    config = as_limited(database, database.config("Persons"))
    database.run("GRANT VIEW DEFINITION ON SCHEMA::dbo TO [limited]")
    database.run("INSERT INTO dbo.Persons VALUES (4, N'new')")
    reading = read(config, before_read=lambda one: one.snapshot(["Persons"]))
    assert reading.rows == [("Insert", {"Id": 4, "Name": "new"})]
    (refused,) = told(reading, "mssql.snapshot_refused")
    assert "GRANT SELECT" in refused["hint"]


def as_limited(database: SourceDatabase, config: dict[str, Any]) -> dict[str, Any]:
    """The config with a login that can read only the change tables."""
    database.run("IF SUSER_ID(N'limited') IS NULL CREATE LOGIN [limited] WITH PASSWORD = 'Correct-horse-2'")
    database.run("CREATE USER [limited] FOR LOGIN [limited]")
    database.run("GRANT SELECT ON SCHEMA::cdc TO [limited]")
    text = config["db_connection_string"].replace("UID=sa", "UID=limited").replace(PASSWORD, "Correct-horse-2")
    return {**config, "db_connection_string": text}


def test_a_login_that_cannot_read_the_table_is_refused_at_start_with_the_grant(database: SourceDatabase) -> None:
    persons(database)
    config = as_limited(database, database.config("Persons", **SNAPSHOT))
    database.run("GRANT UPDATE ON dbo.Persons TO [limited]")  # Makes the table visible.
    with pytest.raises(AuthError) as caught:
        read(config)
    assert caught.value.code == "mssql.no_grant"
    assert caught.value.hint is not None
    assert "GRANT SELECT ON [dbo].[Persons] TO [limited];" in caught.value.hint
    assert read({**config, "start_from": "earliest"}).lines == []


def test_a_column_masked_in_the_table_alone_is_refused(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (Id int PRIMARY KEY, Email varchar(50) MASKED WITH (FUNCTION = 'default()'))")
    database.run("INSERT INTO dbo.T VALUES (1, 'ada@example.com')")
    database.capture("dbo.T")
    config = as_limited(database, database.config("T", **SNAPSHOT))
    database.run("GRANT SELECT ON SCHEMA::dbo TO [limited]")
    database.run("GRANT UNMASK ON SCHEMA::cdc TO [limited]")
    with pytest.raises(AuthError) as caught:
        read(config)
    assert caught.value.code == "mssql.masked_column"
    assert "GRANT UNMASK ON [dbo].[T] TO [limited];" in str(caught.value.hint)
    hidden = {**config, "columns": {"T": {"redact": ["Email"]}}}
    assert read(hidden).rows == [("Read", {"Id": 1, "Email": "***"})]
    database.run("GRANT UNMASK ON dbo.T TO [limited]")
    assert read(config).rows == [("Read", {"Id": 1, "Email": "ada@example.com"})]


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_half_of_a_surrogate_pair_is_replaced_in_rows_too(database: SourceDatabase, key: str) -> None:
    persons(database, key=key)
    database.run("UPDATE dbo.Persons SET Name = LEFT(N'a🦜', 2) WHERE Id = 2")
    reading = read(database.config("Persons", start_from="snapshot", operations=["delete"]))
    assert [data["Name"] for _, data in reading.rows] == ["name 1", "a\ufffd", "name 3"]
    assert told(reading, "mssql.half_pair")[0]["column"] == "Name"


@pytest.mark.parametrize("order", ["", "DESC"])
def test_a_table_that_grows_faster_than_it_is_read_is_read_up_to_the_end_that_it_had(
    database: SourceDatabase, order: str
) -> None:
    database.run(f"CREATE TABLE dbo.T (Id int NOT NULL, PRIMARY KEY (Id {order}))")
    database.run("INSERT INTO dbo.T VALUES (1), (2), (3)")
    database.capture("dbo.T")
    inserted: list[int] = []

    def grow(reading: Reading, stop: Stop) -> None:
        if 0 < len(reading.lines) < 30:
            later = [(-1 if order else 1) * (10 + len(inserted) + at) for at in range(3)]
            database.run("INSERT INTO dbo.T VALUES (?), (?), (?)", *later)
            inserted.extend(later)

    reading = read(database.config("T", **SNAPSHOT), on_item=grow, stop_after=100, pace={"page_rows": 2})
    assert [data["Id"] for kind, data in reading.rows if kind == "Read"] == ([3, 2, 1] if order else [1, 2, 3])
    changes = [data["Id"] for kind, data in reading.rows if kind == "Insert"]
    assert changes == inserted[: len(changes)]
    assert told(reading, "mssql.snapshot_done")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
def test_a_table_without_rows_is_complete_at_once(database: SourceDatabase, key: str) -> None:
    database.run(f"CREATE TABLE dbo.T (Id int NOT NULL {key})")
    database.capture("dbo.T")
    first = read(database.config("T", **SNAPSHOT))
    assert first.rows == []
    assert "snapshot" not in first.state["tables"]["dbo.T"]
    assert [line["rows"] for line in told(first, "mssql.snapshot_done")] == [0]
    database.run("INSERT INTO dbo.T VALUES (1)")
    assert read(database.config("T", **SNAPSHOT), first.state).rows == [("Insert", {"Id": 1})]


def test_hidden_values_are_those_of_changes_and_skipped_updates_leave_a_copy_complete(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (Id int PRIMARY KEY, Email varchar(50), Card varchar(20), Note nvarchar(max))")
    database.capture("dbo.T")
    database.run("INSERT INTO dbo.T VALUES (1, 'ada@example.com', '4111', N'one'), (2, NULL, NULL, N'two')")
    choice = {"exclude": ["Note"], "hash": ["Email"], "redact": ["Card"]}
    config = database.config("T", columns={"T": choice}, hash_key="k", skip_unchanged=True)
    changes = read(config)

    def change(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 1:
            database.run("UPDATE dbo.T SET Note = N'not read'")
            database.run("UPDATE dbo.T SET Email = 'new@example.com' WHERE Id = 2")

    first = read({**config, **SNAPSHOT}, on_item=change, pace={"page_rows": 1})
    rows = first.rows + read(config, first.state).rows
    assert sorted(kind for kind, _ in rows) == ["Read", "Read", "Update"]
    assert rows[0][1] == changes.rows[0][1]
    assert rows[1][1] == rows[2][1] == read(config).rows[-1][1]
    assert "example" not in json.dumps([rows, first.states, first.telemetry])
