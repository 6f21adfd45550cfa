"""Snapshots through pyodbc: every type of key, resumed after every chunk, and rows that equal the stream's."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from dstream_mssql_cdc.provider import MssqlCdc
from dstream_mssql_cdc.snapshot import keys
from dstream_mssql_cdc.snapshot.reader import key_of
from dstream_mssql_cdc.state import load_state
from dstream_mssql_cdc.stream.reader import ChangeStream, PollPace

from dstream.sdk import Checkpoint, Lines, Stop
from dstream.sdk.errors import AuthError, DataError
from tests.integration.mssql_cdc.source_server import PASSWORD, Reading, SourceDatabase, provider, read

SNAPSHOT = {"start_from": "snapshot"}

KEYS: dict[str, tuple[str, list[str]]] = {
    "int": ("int", ["-5", "0", "7", "2147483647"]),
    "bigint": ("bigint", ["-9223372036854775808", "9007199254740993", "9223372036854775807"]),
    "bit": ("bit", ["0", "1"]),
    "decimal": ("decimal(38, 10)", ["-1234567890123456789012345678.1234567890", "0.0000000001", "0.0000000002"]),
    "decimal without integer digits": ("decimal(38, 38)", ["-0.99999999999999999999999999999999999999", "0", "1E-38"]),
    "smallmoney": ("smallmoney", ["-214748.3648", "0.0001", "214748.3647"]),
    "money": ("money", ["-922337203685477.5808", "0.0001", "922337203685477.5807"]),
    "float": ("float", ["-1.7976931348623157E308", "0.1", "0.30000000000000004", "1E22", "5"]),
    "real": ("real", ["-3.4028235E38", "0.1", "0.2", "16777216"]),
    "date": ("date", ["'0001-01-01'", "'2024-02-29'", "'9999-12-31'"]),
    "time": ("time(7)", ["'00:00:00'", "'12:00:00.0000001'", "'12:00:00.0000002'"]),
    "datetime": ("datetime", ["'1753-01-01'", "'2024-02-29T10:00:00.003'", "'2024-02-29T10:00:00.007'"]),
    "smalldatetime": ("smalldatetime", ["'2024-02-29T10:00'", "'2024-02-29T10:01'"]),
    "datetime2": ("datetime2(7)", ["'2024-02-29T10:00:00.0000001'", "'2024-02-29T10:00:00.0000002'"]),
    "datetimeoffset": (
        "datetimeoffset(7)",
        ["'2024-02-29T10:00:00.0000001+02:00'", "'2024-02-29T08:00:00.0000002Z'", "'2024-02-29T09:59:59-14:00'"],
    ),
    "uniqueidentifier": (
        "uniqueidentifier",
        [
            "'00000000-0000-0000-0000-010000000000'",
            "'01000000-0000-0000-0000-000000000000'",
            "'00000000-0001-0000-0000-000000000000'",
        ],
    ),
    "char": ("char(4)", ["''", "'a'", "'ab'"]),
    "varchar": ("varchar(20)", ["''", "'a''b'", "'Ä'", "'z'"]),
    "varchar, another collation": ("varchar(20) COLLATE Latin1_General_CS_AS", ["'a'", "'A'", "'Ä'", "'€'"]),
    "binary collation": ("varchar(20) COLLATE Latin1_General_BIN2", ["'A'", "'Z'", "'a'", "'ä'"]),
    "ignoring accents": ("nvarchar(20) COLLATE Latin1_General_CI_AI", ["N'a'", "N'É'", "N'f'", "N'Z'"]),
    "alias type": ("sysname", ["N'a'", "N'B'", "N'c'"]),
    "nvarchar": ("nvarchar(20)", ["N''", "N'a'", "N'é'", "N'🦜'", "N'日本'"]),
    "nchar": ("nchar(3)", ["N'a'", "N'ab'"]),
    "binary": ("binary(3)", ["0x000001", "0x0000FF", "0xFF0000"]),
    "varbinary": ("varbinary(5)", ["0x", "0x01", "0x0100", "0xFF"]),
    "rowversion": ("rowversion", []),
    "hierarchyid": ("hierarchyid", ["'/'", "'/1/'", "'/1/2/'", "'/2/'"]),
}


def resumed_after_every_chunk(config: dict[str, Any]) -> Reading:
    """Read to the end, one row per chunk, with a new reader from the stored checkpoint after each."""
    reading = Reading()
    one = provider(config, lambda line: None, once=True)
    one.start()
    try:
        assert one._server is not None
        state = one._start_state({})
        until = one._server.max_lsn()
        pace = PollPace(0.0, 0.0, page_rows=1)
        while any(table.snapshot for table in state.tables.values()):
            stream = ChangeStream(one._server, state, one._builder, pace)
            for item in stream.lines(Stop(), until=until):
                if isinstance(item, Lines):
                    reading.lines += item.data.splitlines()
                elif isinstance(item, Checkpoint):
                    loaded = load_state(json.loads(json.dumps(item.state)))
                    assert loaded is not None
                    if loaded != state:
                        state = loaded
                        break
    finally:
        one.close()
    return reading


def bounded_by_every_key(config: dict[str, Any]) -> Iterator[str]:
    """Check that each key of a table divides its rows into those up to it and those after it."""
    one = provider(config, lambda line: None, once=True)
    one.start()
    try:
        server = one._server
        assert server is not None
        for table in server.captured():
            builder = one._builder(table, table.instances[0].mark.instance)
            described = server.describe(table.object_id)
            key = key_of(described, builder)
            rows = server.chunk(described, key, builder, None, None, 100, 10**6).rows
            for count, row in enumerate(rows, 1):
                bound = keys.stored(key, row)
                upper = server.chunk(described, key, builder, None, bound, 100, 10**6)
                lower = server.chunk(described, key, builder, bound, None, 100, 10**6)
                assert [*map(list, upper.rows)] == [*map(list, rows[:count])], (table.name, bound)
                assert [*map(list, lower.rows)] == [*map(list, rows[count:])], (table.name, bound)
            assert keys.stored(key, server.last_key(described, key) or ()) == bound
            yield table.name
    finally:
        one.close()


def test_keys_of_every_type_are_resumed_after_every_row(database: SourceDatabase) -> None:
    for number, (type_, values) in enumerate(KEYS.values()):
        database.run(f"CREATE TABLE dbo.T{number} (K {type_} NOT NULL PRIMARY KEY, N int)")
        database.capture(f"dbo.T{number}")
        columns, rows = ("K, N", [f"({value}, 1)" for value in values]) if values else ("N", ["(1)", "(1)", "(1)"])
        for row in rows:
            database.run(f"INSERT INTO dbo.T{number} ({columns}) VALUES {row}")
    changes = read(database.config("dbo.*")).events
    events = resumed_after_every_chunk(database.config("dbo.*", **SNAPSHOT)).events
    assert len({event["metadata"]["Id"] for event in events}) == len(events)
    for number, kind in enumerate(KEYS):
        rows = [event["data"] for event in events if event["metadata"]["TableName"] == f"dbo.T{number}"]
        inserted = [event["data"] for event in changes if event["metadata"]["TableName"] == f"dbo.T{number}"]
        assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, inserted)), kind
    assert len([*bounded_by_every_key(database.config("dbo.*", **SNAPSHOT))]) == len(KEYS)


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


def test_composite_descending_and_null_keys_are_resumed_in_the_order_of_the_index(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.T (A int NULL, B varchar(5) NULL, N int)")
    database.run("CREATE UNIQUE INDEX U ON dbo.T (A DESC, B)")
    database.run("EXEC sys.sp_cdc_enable_table N'dbo', N'T', @role_name = NULL, @index_name = N'U'")
    values = [(a, b) for a in (1, 2, 3) for b in ("x", "y", None)] + [(None, "x"), (None, None)]
    for a, b in values:
        database.run(f"INSERT INTO dbo.T VALUES ({a or 'NULL'}, {repr(b) if b else 'NULL'}, 1)")
    events = resumed_after_every_chunk(database.config("T", **SNAPSHOT)).events
    rows = [(event["data"]["A"], event["data"]["B"]) for event in events]
    assert rows == [(a, b) for a in (3, 2, 1) for b in (None, "x", "y")] + [(None, None), (None, "x")]
    assert [*bounded_by_every_key(database.config("T", **SNAPSHOT))] == ["dbo.T"]
    larger_chunks = read(database.config("T", **SNAPSHOT), pace={"page_rows": 4}).events
    assert [(event["data"]["A"], event["data"]["B"]) for event in larger_chunks] == rows


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
