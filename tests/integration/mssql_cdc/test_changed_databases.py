"""A database that is restored, moved or repaired between runs: what is refused, and what continues."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from dstream.sdk import Stop
from dstream.sdk.errors import DStreamError
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, read


def persons(database: SourceDatabase, instance: str | None = None) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons", instance)


def backup(database: SourceDatabase) -> None:
    database.run(f"BACKUP DATABASE [{database.name}] TO DISK = N'{database.name}.bak'")


def restore(database: SourceDatabase) -> None:
    """RESTORE .. WITH KEEP_CDC needs exclusive access."""
    database.close()
    with contextlib.closing(database.server.connect()) as master:
        master.execute(
            f"RESTORE DATABASE [{database.name}] FROM DISK = N'{database.name}.bak' WITH KEEP_CDC, REPLACE"
        ).close()
    database.connection = database.server.connect(database.name)


def failure(config: dict[str, Any], state: Any) -> str:
    with pytest.raises(DStreamError) as caught:
        read(config, state)
    return caught.value.code


def test_a_restored_database_whose_log_has_passed_the_position_is_refused(database: SourceDatabase) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    backup(database)
    database.run("INSERT INTO dbo.Persons VALUES (2)")
    state = read(database.config("Persons")).state
    restore(database)
    with database.transaction():  # One commit where there were two: the LSN of the position becomes a row's.
        database.run("INSERT INTO dbo.Persons VALUES (3)")
        database.run("INSERT INTO dbo.Persons VALUES (4)")
    assert database.rows("SELECT 1 FROM cdc.lsn_time_mapping WHERE start_lsn >= CONVERT(binary(10), ?, 2)", _lsn(state))
    assert failure(database.config("Persons"), state) == "mssql.restored"


def test_a_secondary_that_lags_behind_the_position_is_waited_for(database: SourceDatabase) -> None:
    persons(database)
    backup(database)
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    state = read(database.config("Persons")).state
    restore(database)
    database.run(f"ALTER DATABASE [{database.name}] SET READ_ONLY")
    reading = read(database.config("Persons"), state, pace={"restored_after_s": 0.0})
    assert [line["position"] for line in reading.telemetry if line.get("event") == "mssql.secondary_behind"] == [
        _lsn(state)
    ]
    database.run(f"ALTER DATABASE [{database.name}] SET READ_WRITE")
    with pytest.raises(DStreamError) as caught:
        read(database.config("Persons"), state, pace={"restored_after_s": 0.0})
    assert caught.value.code == "mssql.restored"


def rename(database: SourceDatabase, old: str, new: str) -> None:
    database.run("EXEC sp_rename ?, ?", old, new)


def test_a_renamed_table_continues_under_its_new_name(database: SourceDatabase) -> None:
    persons(database)
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    first = read(database.config("dbo.*"))
    rename(database, "dbo.Persons", "People")
    database.run("INSERT INTO dbo.People VALUES (2)")
    second = read(database.config("dbo.*"), first.state)
    assert [(event["metadata"]["TableName"], event["data"]["Id"]) for event in second.events] == [("dbo.People", 2)]
    prefixes = {event["metadata"]["Id"].rsplit("/", 4)[0] for event in first.events + second.events}
    assert len(prefixes) == 1
    (warning,) = [line for line in second.telemetry if line.get("event") == "mssql.table_renamed"]
    assert (warning["was"], warning["now"]) == ("dbo.Persons", "dbo.People")


def test_a_table_renamed_to_an_unselected_name_is_refused_until_it_is_selected(database: SourceDatabase) -> None:
    persons(database)
    state = read(database.config("Persons")).state
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    rename(database, "dbo.Persons", "Persons_old")
    persons(database, "persons_2")
    assert failure(database.config("Persons"), state) == "mssql.table_renamed"
    reading = read(database.config("Persons", "Persons_old"), state)
    assert [(event["metadata"]["TableName"], event["data"]["Id"]) for event in reading.events] == [
        ("dbo.Persons_old", 1)
    ]


def test_columns_excluded_under_the_old_name_are_not_read_under_the_new_one(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Secret int)")
    database.capture("dbo.Persons")

    def rename_and_reload(reading: Reading, stop: Stop) -> None:
        if len(reading.states) == 1:
            rename(database, "dbo.Persons", "People")
            database.run("INSERT INTO dbo.People VALUES (1, 2)")
            database.capture("dbo.People", "people_2")

    config = database.config("dbo.*", columns={"dbo.Persons": {"exclude": ["Secret"]}}, poll_interval="10ms")
    with pytest.raises(DStreamError) as caught:
        read(config, on_item=rename_and_reload, once=False)
    assert caught.value.code == "mssql.columns"


def new_broker(database: SourceDatabase) -> None:
    """NEW_BROKER needs exclusive access."""
    database.close()
    with contextlib.closing(database.server.connect()) as master:
        master.execute(f"ALTER DATABASE [{database.name}] SET NEW_BROKER WITH ROLLBACK IMMEDIATE").close()
    database.connection = database.server.connect(database.name)


def test_a_new_service_broker_guid_changes_no_ids(database: SourceDatabase) -> None:
    persons(database)
    for number in (1, 2):
        database.run("INSERT INTO dbo.Persons VALUES (?)", number)
    first = read(database.config("Persons"), pace={"checkpoint_lines": 1})
    after_one = next(state for count, state in first.states if count == 1)
    new_broker(database)
    repeated = read(database.config("Persons"), after_one)
    assert repeated.lines == first.lines[1:]
    assert [line["event"] for line in repeated.telemetry if line.get("event") == "mssql.broker_guid_changed"]
    assert not [
        line for line in read(database.config("Persons"), repeated.state).telemetry if "mssql.broker" in str(line)
    ]


def _lsn(state: Any) -> str:
    text: str = state["pos"][0]
    return text
