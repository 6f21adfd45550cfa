"""Net changes through pyodbc, compared with SQL Server's own function."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dstream.sdk import Stop
from dstream.sdk.errors import ConfigError
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, provider, read


def write(database: SourceDatabase, chance: random.Random, changes: int) -> None:
    for number in range(changes):
        key, other = chance.randint(1, 6), chance.randint(1, 6)
        statement = chance.choice(
            [
                f"DELETE dbo.Stock WHERE Id = {key}",
                f"UPDATE dbo.Stock SET Quantity = {number} WHERE Id = {key}",
                f"UPDATE dbo.Stock SET Note = N'note {number}' WHERE Id = {key}",
                f"INSERT INTO dbo.Stock SELECT {key}, {number}, N'new' WHERE NOT EXISTS "
                f"(SELECT 1 FROM dbo.Stock WHERE Id = {key})",
                f"UPDATE dbo.Stock SET Id = {other} WHERE Id = {key} AND NOT EXISTS "
                f"(SELECT 1 FROM dbo.Stock WHERE Id = {other})",
            ]
        )
        database.run(statement)


def own_function(database: SourceDatabase, after: bytes) -> dict[int, tuple[str, int]]:
    """What cdc.fn_cdc_get_net_changes returns: the operation and the quantity by key."""
    rows = database.rows(
        "DECLARE @from binary(10) = ?; "
        "SELECT Id, __$operation, Quantity FROM cdc.fn_cdc_get_net_changes_dbo_Stock("
        "sys.fn_cdc_increment_lsn(@from), sys.fn_cdc_get_max_lsn(), N'all')",
        after,
    )
    names = {1: "Delete", 2: "Insert", 4: "Update"}
    return {key: (names[operation], quantity) for key, operation, quantity in rows}


@pytest.mark.parametrize("seed", range(4))
def test_net_changes_are_those_of_the_server_and_a_copy_of_the_table(database: SourceDatabase, seed: int) -> None:
    database.run("CREATE TABLE dbo.Stock (Id int PRIMARY KEY, Quantity int, Note nvarchar(max))")
    database.capture("dbo.Stock")
    config = database.config("Stock", net_changes=True)
    chance, state, copy = random.Random(seed), None, dict[int, dict[str, Any]]()
    for _ in range(4):
        after = database.rows("SELECT COALESCE(MAX(start_lsn), 0x00000000000000000000) FROM cdc.lsn_time_mapping")[0][0]
        first = database.rows("SELECT start_lsn FROM cdc.change_tables")[0][0]
        write(database, chance, 12)
        database.run("INSERT INTO dbo.Stock VALUES (99, 0, N'')")
        database.run("DELETE dbo.Stock WHERE Id = 99")
        reading = read(config, state)
        state = reading.state
        found = {event["data"]["Id"]: kind(event) for event in reading.events}
        assert len(found) == len(reading.events)
        assert found.pop(99) == ("Delete", 0)  # The function returns nothing for a row that came and went.
        came_and_went = {key for key, (name, _) in found.items() if name == "Delete"} - copy.keys()
        expected = own_function(database, max(after, bytes(first)))
        assert {key: found[key] for key in found.keys() - came_and_went} == expected
        apply(copy, reading)
        table = database.rows("SELECT Id, Quantity, Note FROM dbo.Stock")
        assert copy == {key: {"Id": key, "Quantity": quantity, "Note": note} for key, quantity, note in table}


def kind(event: dict[str, Any]) -> tuple[str, int]:
    return event["metadata"]["OperationType"], event["data"]["Quantity"]


def apply(copy: dict[int, dict[str, Any]], reading: Reading) -> None:
    for event in reading.events:
        key = event["data"]["Id"]
        if event["metadata"]["OperationType"] == "Delete":
            copy.pop(key, None)
        else:
            copy[key] = {**copy.get(key, {}), **event["data"]}


def test_a_window_that_was_begun_has_the_same_rows_in_the_next_run(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Stock (Id int PRIMARY KEY, Quantity int)")
    database.capture("dbo.Stock")
    database.run("INSERT INTO dbo.Stock VALUES (1, 1), (2, 1)")
    config = database.config("Stock", net_changes=True)

    def crash(reading: Reading, stop: Stop) -> None:
        if reading.lines:
            raise InterruptedError

    interrupted = Reading()
    with pytest.raises(InterruptedError):
        read(config, on_item=lambda reading, stop: (interrupted.__dict__.update(vars(reading)), crash(reading, stop)))
    assert len(interrupted.lines) == 2
    database.run("UPDATE dbo.Stock SET Quantity = 2")
    again = read(config, interrupted.state)
    assert again.lines[:2] == interrupted.lines
    assert [event["metadata"]["OperationType"] for event in again.events] == ["Insert", "Insert", "Update", "Update"]
    assert len({event["metadata"]["Id"] for event in again.events}) == 4


def test_net_changes_need_a_host_that_stores_checkpoints(database: SourceDatabase) -> None:
    one = provider(database.config("Stock", net_changes=True), lambda line: None)
    one.host_keeps_state = False
    with pytest.raises(ConfigError) as caught:
        one.start()
    assert caught.value.code == "mssql.net_changes"
    one.close()
