"""Reading through pyodbc: order, pairs, keys, start positions, large values, gaps and capture instances."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from dstream_mssql_cdc.server import sql

from dstream.sdk import Stop
from dstream.sdk.errors import ConfigError, DataError, DStreamError
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, read, wait_until


def persons(database: SourceDatabase, name: str = "dbo.Persons", columns: str = "Name nvarchar(50)") -> None:
    database.run(f"CREATE TABLE {name} (Id int PRIMARY KEY, {columns})")
    database.capture(name)


def test_insert_update_delete_and_a_change_of_the_key(database: SourceDatabase) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (7, N'A.')")
    database.run("UPDATE dbo.Persons SET Name = N'Ada' WHERE Id = 7")
    database.run("UPDATE dbo.Persons SET Id = 8 WHERE Id = 7")
    database.run("DELETE dbo.Persons WHERE Id = 8")
    reading = read(database.config("Persons"))
    assert reading.rows == [
        ("Insert", {"Id": 7, "Name": "A."}),
        ("Update", {"Id": 7, "Name": "Ada"}),
        ("Delete", {"Id": 7, "Name": "Ada"}),
        ("Insert", {"Id": 8, "Name": "Ada"}),
        ("Delete", {"Id": 8, "Name": "Ada"}),
    ]
    events = reading.events
    assert events[1]["before"] == {"Id": 7, "Name": "A."}
    assert events[1]["metadata"]["Changed"] == ["Name"]
    assert [event["metadata"].get("Last", False) for event in events] == [True, True, False, True, True]
    assert {event["metadata"]["TableName"] for event in events} == {"dbo.Persons"}
    mapped = dict(database.rows("SELECT CONVERT(varchar(20), start_lsn, 2), tran_end_time FROM cdc.lsn_time_mapping"))
    for event in events:
        ended = mapped[event["metadata"]["LSN"].upper()]
        assert event["metadata"]["CommitTime"] == f"{ended.isoformat(timespec='milliseconds')}+00:00"


def test_hidden_values_and_skipped_updates(database: SourceDatabase) -> None:
    persons(database, columns="Email nvarchar(50), Note nvarchar(max), Visits int")
    database.run("INSERT INTO dbo.Persons VALUES (7, N'ada@example.org', N'secret note', 1)")
    with database.transaction():
        database.run("UPDATE dbo.Persons SET Email = N'ada@example.com' WHERE Id = 7")
        database.run("UPDATE dbo.Persons SET Visits = 2 WHERE Id = 7")
    choice = {"exclude": ["Visits"], "hash": ["Email"], "redact": ["Note"]}
    reading = read(database.config("Persons", columns={"dbo.Persons": choice}, hash_key="a key", skip_unchanged=True))
    hashes = [hmac.digest(b"a key", email, "sha256").hex() for email in (b"ada@example.org", b"ada@example.com")]
    assert reading.rows == [
        ("Insert", {"Id": 7, "Email": hashes[0], "Note": "***"}),
        ("Update", {"Id": 7, "Email": hashes[1]}),
    ]
    assert reading.events[1]["metadata"]["Last"] is True
    assert not any(b"ada@" in line or b"secret note" in line for line in reading.lines)


def test_tables_are_merged_in_commit_order(database: SourceDatabase) -> None:
    for name in ("dbo.A", "dbo.B", "dbo.C"):
        persons(database, name)
    with database.transaction():
        database.run("INSERT INTO dbo.B VALUES (1, N'first')")
        database.run("INSERT INTO dbo.A VALUES (1, N'second')")
    database.run("INSERT INTO dbo.A VALUES (2, N'third')")
    reading = read(database.config("A", "B", "C"))
    told = [(event["metadata"]["TableName"], event["metadata"].get("Last", False)) for event in reading.events]
    assert told[2] == ("dbo.A", True)
    assert [is_last for _, is_last in told] == [False, True, True]
    assert {table for table, _ in told[:2]} == {"dbo.A", "dbo.B"}


def test_all_tables_of_a_schema_are_read(database: SourceDatabase) -> None:
    database.run("CREATE SCHEMA sales")
    persons(database, "sales.A")
    persons(database, "sales.B")
    persons(database, "dbo.C")
    for name in ("sales.A", "sales.B", "dbo.C"):
        database.run(f"INSERT INTO {name} VALUES (1, N'x')")
    tables = [event["metadata"]["TableName"] for event in read(database.config("sales.*")).events]
    assert sorted(tables) == ["sales.A", "sales.B"]


def test_latest_skips_existing_rows_and_its_checkpoint_resumes(database: SourceDatabase) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (1, N'old')")
    first = read(database.config("Persons", start_from="latest"))
    assert first.lines == []
    database.run("INSERT INTO dbo.Persons VALUES (2, N'new')")
    assert read(database.config("Persons", start_from="latest"), first.state).rows == [
        ("Insert", {"Id": 2, "Name": "new"})
    ]


def test_reading_can_start_from_an_lsn_or_a_time(database: SourceDatabase) -> None:
    persons(database)
    for number in range(1, 4):
        database.run("INSERT INTO dbo.Persons VALUES (?, N'x')", number)
    events = read(database.config("Persons")).events
    from_lsn = read(database.config("Persons", start_from=events[1]["metadata"]["LSN"]))
    assert [row["Id"] for _, row in from_lsn.rows] == [2, 3]
    from_time = read(database.config("Persons", start_from=events[0]["metadata"]["CommitTime"]))
    assert [row["Id"] for _, row in from_time.rows] == [1, 2, 3]
    two_hours_later = datetime.fromisoformat(events[0]["metadata"]["CommitTime"]).astimezone(
        timezone(timedelta(hours=2))
    )
    from_instant = read(database.config("Persons", start_from=two_hours_later.isoformat(timespec="milliseconds")))
    assert from_instant.lines == from_time.lines
    for later in ("2200-01-01", "2200-01-01T00:00", "2200-01-01T00:00Z"):
        assert read(database.config("Persons", start_from=later)).lines == []


def test_commit_times_have_the_offset_of_a_server_that_can_tell_it_or_of_the_setting(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (1, N'x')")
    ended = database.rows("SELECT tran_end_time FROM cdc.lsn_time_mapping WHERE tran_id <> 0x00")[0][0]
    local = ended.isoformat(timespec="milliseconds")

    def commit_time(**settings: str) -> str:
        return str(read(database.config("Persons", **settings)).events[0]["metadata"]["CommitTime"])

    assert commit_time() == f"{local}+00:00"
    assert commit_time(time_zone="India Standard Time") == f"{local}+05:30"
    monkeypatch.setattr(sql, "CURRENT_TIME_ZONE", "NOT_BEFORE_2022()")
    assert commit_time() == local
    assert commit_time(time_zone="India Standard Time") == f"{local}+05:30"
    with pytest.raises(ConfigError, match="cannot tell its time zone") as caught:
        read(database.config("Persons", start_from="2024-02-29T23:59Z"))
    assert "time_zone" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="does not know the time zone") as caught:
        commit_time(time_zone="Europe/Berlin's")
    assert (caught.value.code, caught.value.config_path) == ("mssql.time_zone", "time_zone")


def test_reading_continues_where_the_original_stopped(database: SourceDatabase) -> None:
    for name in ("dbo.A", "dbo.B", "dbo.Quiet"):
        persons(database, name)
    for number in range(1, 4):
        database.run("INSERT INTO dbo.A VALUES (?, N'a'); INSERT INTO dbo.B VALUES (?, N'b')", number, number)
    database.run("CREATE TABLE cdc_offsets (table_name nvarchar(255) PRIMARY KEY, last_lsn varbinary(10))")
    lsns = {
        name: [row[0] for row in database.rows(f"SELECT [__$start_lsn] FROM cdc.dbo_{name}_CT ORDER BY 1")]
        for name in "AB"
    }
    database.run("INSERT INTO cdc_offsets VALUES (N'A', ?), (N'B', ?)", lsns["A"][2], lsns["B"][0])
    reading = read(database.config("A", "B", "Quiet", start_from="cdc_offsets"))
    found = [(event["metadata"]["TableName"], event["data"]["Id"]) for event in reading.events]
    assert found == [("dbo.B", 1), ("dbo.B", 2), ("dbo.A", 3), ("dbo.B", 3)]
    database.run(
        "DECLARE @to binary(10) = sys.fn_cdc_get_max_lsn(); "
        "EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'dbo_B', @low_water_mark = @to"
    )
    with pytest.raises(DStreamError) as caught:
        read(database.config("A", "B", "Quiet", start_from="cdc_offsets"))
    assert (caught.value.code, lsns["B"][0].hex() in caught.value.message) == ("mssql.gap", True)


def test_operations_and_before_images_select_what_is_read(database: SourceDatabase) -> None:
    persons(database)
    with database.transaction():
        database.run("INSERT INTO dbo.Persons VALUES (1, N'x')")
        database.run("UPDATE dbo.Persons SET Name = N'y'")
        database.run("DELETE dbo.Persons")
    updates = read(database.config("Persons", operations=["update"], before_images=False)).events
    assert [(event["metadata"]["OperationType"], event["metadata"]["Last"]) for event in updates] == [("Update", True)]
    assert "before" not in updates[0]
    others = read(database.config("Persons", operations=["insert", "delete"]))
    assert [kind for kind, _ in others.rows] == ["Insert", "Delete"]


def test_only_selected_columns_are_read(database: SourceDatabase) -> None:
    persons(database, columns="Name nvarchar(50), Secret nvarchar(50)")
    database.run("INSERT INTO dbo.Persons VALUES (1, N'Ada', N'x')")
    config = database.config("Persons", columns={"Persons": {"exclude": ["Secret"]}})
    assert read(config).rows == [("Insert", {"Id": 1, "Name": "Ada"})]


def test_an_unchanged_large_value_is_omitted(database: SourceDatabase) -> None:
    persons(database, columns="Name nvarchar(50), Doc nvarchar(max), Old ntext")
    database.run("INSERT INTO dbo.Persons VALUES (1, N'Ada', N'doc', N'old')")
    database.run("UPDATE dbo.Persons SET Name = N'B'")
    database.run("UPDATE dbo.Persons SET Doc = NULL")
    database.run("DELETE dbo.Persons")
    inserted, renamed, emptied, deleted = read(database.config("Persons")).events
    assert inserted["data"] == {"Id": 1, "Name": "Ada", "Doc": "doc", "Old": "old"}
    assert renamed["data"] == {"Id": 1, "Name": "B"}
    assert renamed["metadata"]["Unchanged"] == ["Doc", "Old"]
    assert emptied["data"] == {"Id": 1, "Name": "B", "Doc": None}
    assert emptied["metadata"]["Changed"] == ["Doc"]
    assert "Old" not in deleted["data"]


def test_a_value_over_half_of_max_line_is_not_fetched(database: SourceDatabase) -> None:
    persons(database, columns="Doc varbinary(max)")
    database.run(
        "INSERT INTO dbo.Persons VALUES (1, CAST(REPLICATE(CAST('x' AS varchar(max)), 40000) AS varbinary(max)))"
    )
    with pytest.raises(DataError) as caught:
        read(database.config("Persons"), max_line=65536)
    assert (caught.value.code, "40,000" in caught.value.message) == ("mssql.value_too_large", True)
    assert len(read(database.config("Persons"), max_line=131072).lines) == 1


def test_wide_rows_are_paged_by_their_bytes(database: SourceDatabase) -> None:
    persons(database, columns="A nvarchar(4000), B nvarchar(4000)")
    database.run("INSERT INTO dbo.Persons VALUES (1, REPLICATE(N'x', 4000), REPLICATE(N'y', 4000))")
    for power in range(6):
        database.run(f"INSERT INTO dbo.Persons SELECT Id + {2**power}, A, B FROM dbo.Persons")
    reading = read(database.config("Persons", max_bytes_per_poll="64KiB"))
    assert sorted(row["Id"] for _, row in reading.rows) == list(range(1, 65))


def test_large_rows_are_paged_by_their_bytes(database: SourceDatabase) -> None:
    persons(database, columns="Doc varchar(max)")
    database.run("INSERT INTO dbo.Persons VALUES (1, REPLICATE(CAST('x' AS varchar(max)), 30000))")
    for power in range(5):
        database.run(f"INSERT INTO dbo.Persons SELECT Id + {2**power}, Doc FROM dbo.Persons")
    reading = read(database.config("Persons", max_bytes_per_poll="64KiB"))
    assert sorted(row["Id"] for _, row in reading.rows) == list(range(1, 33))


def test_rows_removed_by_cleanup_are_reported_as_a_gap(database: SourceDatabase) -> None:
    for name in ("dbo.Busy", "dbo.Quiet"):
        persons(database, name)
    first = read(database.config("Busy", "Quiet"))
    database.run("INSERT INTO dbo.Quiet VALUES (1, N'lost')")
    database.run("INSERT INTO dbo.Busy VALUES (1, N'x')")
    database.run(
        "DECLARE @to binary(10) = sys.fn_cdc_get_max_lsn(); "
        "EXEC sys.sp_cdc_cleanup_change_table @capture_instance = N'dbo_Quiet', @low_water_mark = @to"
    )
    assert database.rows("SELECT COUNT(*) FROM cdc.dbo_Quiet_CT")[0][0] == 0
    with pytest.raises(DStreamError) as caught:
        read(database.config("Busy", "Quiet"), first.state)
    assert caught.value.code == "mssql.gap"
    assert "dbo.Quiet" in caught.value.message
    resumed = read(database.config("Busy", "Quiet", on_gap="continue"), first.state)
    assert [row["Name"] for _, row in resumed.rows] == ["x"]
    assert any(line.get("event") == "mssql.gap" for line in resumed.telemetry)


def test_reading_switches_to_a_second_instance_with_new_columns(database: SourceDatabase) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (1, N'old')")
    first = read(database.config("Persons"))
    database.run("ALTER TABLE dbo.Persons ADD Age int NULL")
    warned = read(database.config("Persons"), first.state)
    (warning,) = [line for line in warned.telemetry if line.get("event") == "mssql.column_not_captured"]
    assert (warning["table"], warning["columns"]) == ("dbo.Persons", ["Age"])
    database.run("INSERT INTO dbo.Persons VALUES (2, N'before', 35)")
    for statement in (line.partition(" -- ")[0] for line in warning["hint"].splitlines() if "enable_table" in line):
        database.run(statement)
    database.run("INSERT INTO dbo.Persons VALUES (3, N'new', 36)")
    second = read(database.config("Persons"), first.state)
    assert not [line for line in second.telemetry if line.get("event") == "mssql.column_not_captured"]
    assert [row for _, row in second.rows] == [
        {"Id": 2, "Name": "before"},
        {"Id": 3, "Name": "new", "Age": 36},
    ]
    database.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Persons', N'dbo_Persons'")
    database.run("INSERT INTO dbo.Persons VALUES (4, N'later', 1)")
    assert [row["Id"] for _, row in read(database.config("Persons"), second.state).rows] == [4]


def test_disabling_and_re_enabling_capture_is_refused(database: SourceDatabase) -> None:
    persons(database)
    first = read(database.config("Persons"))
    database.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Persons', N'all'")
    database.capture("dbo.Persons")
    with pytest.raises(DStreamError) as caught:
        read(database.config("Persons"), first.state)
    assert caught.value.code == "mssql.instance_recreated"
    assert read(database.config("Persons", accept_changed_source=True), first.state).lines == []


def test_a_checkpoint_of_another_database_is_refused(make: Callable[..., SourceDatabase]) -> None:
    one, other = make(), make()
    persons(one)
    persons(other)
    state = read(one.config("Persons")).state
    with pytest.raises(DStreamError) as caught:
        read(other.config("Persons"), state)
    assert caught.value.code == "mssql.another_database"


def test_a_running_stream_reads_changes_and_stops_on_request(database: SourceDatabase) -> None:
    persons(database)
    inserted: list[int] = []

    def next_change(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 3:
            wait_until(lambda: "capture_errors" in gauges(reading), "the last metric")
            stop.set()
        elif len(reading.lines) == len(inserted):
            inserted.append(len(inserted))
            database.run("INSERT INTO dbo.Persons VALUES (?, N'x')", inserted[-1])

    def gauges(reading: Reading) -> dict[str, float]:
        return {line["name"]: line["value"] for line in list(reading.telemetry) if line.get("kind") == "gauge"}

    reading = read(database.config("Persons", poll_interval="10ms"), on_item=next_change, once=False)
    assert len(reading.lines) == 3
    assert reading.states[-1][0] == 3
    reported = gauges(reading)
    assert 259_000 < reported["time_to_loss_seconds"] <= 259_200
    assert (reported["capture_latency_seconds"], reported["capture_errors"]) == (0, 0)


def test_a_column_altered_in_place_is_read_with_its_new_type(database: SourceDatabase) -> None:
    """Also if its table had no changes before, or the driver returns the new type as it returned the old one."""
    persons(database, columns="Seen datetime2(3)")
    persons(database, "dbo.Idle", columns="Note varchar(9), Seen datetimeoffset(3)")

    def alter(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 5:
            stop.set()
        elif not reading.lines and len(reading.states) == 1:
            database.run("INSERT INTO dbo.Persons VALUES (1, '2024-02-29T10:00:00.123')")
        elif len(reading.lines) == 1 and reading.states[-1][0] == 1 and not altered:
            altered.append(1)
            database.run("ALTER TABLE dbo.Persons ALTER COLUMN Seen datetime2(7)")
            database.run("INSERT INTO dbo.Persons VALUES (2, '2024-02-29T10:00:00.1234567')")
            database.run("ALTER TABLE dbo.Idle ALTER COLUMN Note varchar(max)")
            database.run("INSERT INTO dbo.Idle VALUES (3, 'x', '2024-02-29T10:00:00.123Z')")
            database.run("UPDATE dbo.Idle SET Seen = '2024-02-29T11:00:00Z'")
        elif len(reading.lines) == 4 and reading.states[-1][0] == 4 and len(altered) == 1:
            altered.append(2)
            database.run("ALTER TABLE dbo.Idle ALTER COLUMN Seen datetime2(3)")
            database.run("INSERT INTO dbo.Idle VALUES (4, NULL, '2024-02-29T12:00:00.123')")

    altered: list[int] = []
    reading = read(database.config("Persons", "Idle", poll_interval="10ms"), on_item=alter, once=False)
    assert [row["Seen"] for _, row in reading.rows] == [
        "2024-02-29T10:00:00.123",
        "2024-02-29T10:00:00.1234567",
        "2024-02-29T10:00:00.123+00:00",
        "2024-02-29T11:00:00.000+00:00",
        "2024-02-29T12:00:00.123",
    ]
    assert reading.events[3]["metadata"]["Unchanged"] == ["Note"]


def test_overlapping_transactions_arrive_in_commit_order(database: SourceDatabase) -> None:
    persons(database, "dbo.A")
    persons(database, "dbo.B")
    other = database.server.connect(database.name, autocommit=False)
    other.execute("INSERT INTO dbo.A VALUES (1, N'begun first')").close()
    database.run("INSERT INTO dbo.B VALUES (1, N'committed first')")
    other.commit()
    other.close()
    assert [row["Name"] for _, row in read(database.config("A", "B")).rows] == ["committed first", "begun first"]


def test_hundreds_of_tables_are_probed_in_one_query(database: SourceDatabase) -> None:
    for number in range(210):
        persons(database, f"dbo.T{number}")
    database.run("INSERT INTO dbo.T3 VALUES (1, N'x')")
    database.run("INSERT INTO dbo.T205 VALUES (1, N'y')")
    tables = [event["metadata"]["TableName"] for event in read(database.config("dbo.*")).events]
    assert tables == ["dbo.T3", "dbo.T205"]


def test_a_newly_captured_table_of_a_selected_schema_is_read(database: SourceDatabase) -> None:
    """Unless it is excluded."""
    database.run("CREATE SCHEMA sales")
    persons(database, "sales.A")
    made: list[str] = []

    def add_table(reading: Reading, stop: Stop) -> None:
        if not made:
            made.append("sales.B")
            persons(database, "sales.B")
            persons(database, "sales.Audit")
            database.run("INSERT INTO sales.Audit VALUES (1, N'excluded')")
            database.run("INSERT INTO sales.A VALUES (1, N'wakes the stream')")
        elif reading.lines and len(made) == 1:
            made.append("row")
            database.run("INSERT INTO sales.B VALUES (1, N'new')")
        if len(reading.lines) == 2:
            stop.set()

    config = database.config("*.*", exclude_tables=["sales.AUDIT", "hr.*"], poll_interval="10ms")
    reading = read(config, on_item=add_table, once=False)
    assert [event["metadata"]["TableName"] for event in reading.events] == ["sales.A", "sales.B"]
    assert [line["table"] for line in reading.telemetry if line.get("event") == "mssql.reading"] == [
        "sales.A",
        "sales.B",
    ]
    unused = [line["name"] for line in reading.telemetry if line.get("event") == "mssql.unused_exclusion"]
    assert unused == ["sales.AUDIT", "hr.*"]


def test_disabling_cdc_ends_a_running_stream_with_an_error(database: SourceDatabase) -> None:
    persons(database)

    def disable(reading: Reading, stop: Stop) -> None:
        if len(reading.states) == 1:
            database.run("EXEC sys.sp_cdc_disable_db")

    with pytest.raises(DStreamError) as caught:
        read(database.config("Persons", poll_interval="10ms"), on_item=disable, once=False)
    assert caught.value.code == "mssql.cdc_disabled"
