"""Faults that users of other CDC readers reported, each as a scenario that this reader must pass."""

from __future__ import annotations

from dstream.sdk import Stop
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, read


def table(database: SourceDatabase, name: str, columns: str = "") -> None:
    database.run(f"CREATE TABLE {name} (Id int PRIMARY KEY{columns})")
    database.capture(name)


def clean_up(database: SourceDatabase, instance: str) -> None:
    """Remove everything that is captured, as the cleanup job does after the retention period."""
    database.run(
        "DECLARE @to binary(10) = sys.fn_cdc_get_max_lsn(); "
        "EXEC sys.sp_cdc_cleanup_change_table @capture_instance = ?, @low_water_mark = @to",
        instance,
    )


def test_a_deferred_update_gives_all_deletes_before_all_inserts(database: SourceDatabase) -> None:
    """debezium/debezium#7728, powersync-ja/powersync-service#742: ordered by seqval, an insert came before its delete."""
    table(database, "dbo.T")
    database.run("INSERT INTO dbo.T VALUES (1), (2), (3)")
    state = read(database.config("T")).state
    database.run("UPDATE dbo.T SET Id = Id + 1")
    reading = read(database.config("T"), state, pace={"page_rows": 1})
    assert [(kind, row["Id"]) for kind, row in reading.rows] == [
        ("Delete", 1), ("Delete", 2), ("Delete", 3), ("Insert", 2), ("Insert", 3), ("Insert", 4),
    ]  # fmt: skip


def test_cleanup_of_an_idle_table_that_was_read_is_not_a_gap(database: SourceDatabase) -> None:
    """airbytehq/airbyte#37772, #42907, #68150, #73706: the saved LSN of an idle table was no longer available."""
    for name in ("dbo.Busy", "dbo.Idle"):
        table(database, name)
    database.run("INSERT INTO dbo.Idle VALUES (1)")
    database.run("INSERT INTO dbo.Busy VALUES (1)")
    state = read(database.config("Busy", "Idle")).state
    clean_up(database, "dbo_Idle")
    clean_up(database, "dbo_Busy")
    assert read(database.config("Busy", "Idle"), state).lines == []
    database.run("INSERT INTO dbo.Idle VALUES (2)")
    assert [row["Id"] for _, row in read(database.config("Busy", "Idle"), state).rows] == [2]


def test_a_range_without_changes_is_not_an_error(database: SourceDatabase) -> None:
    """apache/flink-cdc#2354, #1083, #1291, #1300: error 313 when nothing had been captured since."""
    table(database, "dbo.T")
    config = database.config("T")
    state = read(config).state
    database.run("INSERT INTO dbo.T VALUES (1)")
    second = read(config, state)
    assert len(second.lines) == 1
    for _ in range(2):
        assert read(config, second.state).lines == []


def test_the_rest_of_a_transaction_is_read_after_a_restart(database: SourceDatabase) -> None:
    """DBZ-1128, DBZ-2329: rows after the last one sent had the same commit LSN and were skipped."""
    table(database, "dbo.T")
    database.run("INSERT INTO dbo.T VALUES (1), (2), (3), (4), (5)")
    config, pace = database.config("T"), {"page_rows": 2, "checkpoint_lines": 1}
    first = read(config, stop_after=4, pace=pace)
    count, state = first.states[-1]
    assert 0 < count < 5
    rest = read(config, state, pace=pace)
    assert [row["Id"] for _, row in Reading(first.lines[:count] + rest.lines).rows] == [1, 2, 3, 4, 5]


def test_changed_columns_beyond_the_first_byte_of_the_mask_are_named(database: SourceDatabase) -> None:
    """debezium/debezium#8064: the mask was read from its first byte instead of its last."""
    table(database, "dbo.T", "".join(f", C{number} int" for number in range(2, 19)))
    database.run("INSERT INTO dbo.T (Id) VALUES (1)")
    state = read(database.config("T")).state
    database.run("UPDATE dbo.T SET C2 = 1, C9 = 1, C10 = 1, C18 = 1")
    (event,) = read(database.config("T"), state).events
    assert event["metadata"]["Changed"] == ["C2", "C9", "C10", "C18"]


def test_consumers_can_order_rows_of_one_transaction(database: SourceDatabase) -> None:
    """airbytehq/airbyte#23850, #16625: all rows of a transaction had the same LSN and nothing else."""
    table(database, "dbo.T")
    with database.transaction():
        database.run("INSERT INTO dbo.T VALUES (1), (2), (3)")
        database.run("UPDATE dbo.T SET Id = Id + 10")
        database.run("DELETE dbo.T WHERE Id = 12")
    metadata = [event["metadata"] for event in read(database.config("T")).events]
    keys = [(each["LSN"], each["CommandId"], each["Seq"], each["OperationID"]) for each in metadata]
    assert len({lsn for lsn, *_ in keys}) == 1
    assert keys == sorted(set(keys))


def test_the_reader_keeps_no_transaction_open(database: SourceDatabase) -> None:
    """debezium/debezium#1167: an open transaction froze what a readable secondary showed."""
    table(database, "dbo.T")
    open_transactions: list[int] = []

    def look(reading: Reading, stop: Stop) -> None:
        query = "SELECT open_transaction_count FROM sys.dm_exec_sessions WHERE program_name = N'dstream'"
        open_transactions.extend(count for (count,) in database.rows(query))
        if reading.lines:
            stop.set()
        elif len(reading.states) == 1:
            database.run("INSERT INTO dbo.T VALUES (1)")

    read(database.config("T", poll_interval="10ms"), on_item=look, once=False)
    assert open_transactions
    assert set(open_transactions) == {0}


def test_a_table_enabled_ahead_of_capture_starts_at_its_own_start(database: SourceDatabase) -> None:
    """MaterializeInc/materialize#33202: right after it is enabled, its start_lsn can lie above the maximum LSN."""
    table(database, "dbo.Old")
    database.run("EXEC sys.sp_cdc_stop_job @job_type = N'capture'")
    table(database, "dbo.New")
    starts = {name: read(database.config("New", start_from=name)) for name in ("earliest", "latest")}
    database.run("INSERT INTO dbo.New VALUES (1)")
    database.run("EXEC sys.sp_cdc_start_job @job_type = N'capture'")
    for name, first in starts.items():
        assert first.lines == []
        assert [row["Id"] for _, row in read(database.config("New", start_from=name), first.state).rows] == [1]
