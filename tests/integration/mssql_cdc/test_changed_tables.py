"""Tables that are dropped, re-created, renamed or captured again while others are read (on_table_change)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dstream.sdk import Finding, Stop
from dstream.sdk.errors import DStreamError
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, provider, read


def captured(database: SourceDatabase, *names: str) -> None:
    for name in names:
        database.run(f"CREATE TABLE {name} (Id int PRIMARY KEY, Name nvarchar(50))")
        database.capture(name)


def warnings(reading: Reading, event: str) -> list[dict[str, Any]]:
    return [line for line in reading.telemetry if line.get("event") == event]


def names_and_ids(reading: Reading) -> list[tuple[str, str, int]]:
    return [
        (event["metadata"]["OperationType"], event["metadata"]["TableName"], event["data"]["Id"])
        for event in reading.events
    ]


def examined(config: dict[str, Any], state: Mapping[str, Any]) -> list[Finding]:
    """What `dstream doctor` finds."""
    one = provider(config, lambda line: None)
    try:
        return list(one.doctor(state))
    finally:
        one.close()


def test_a_table_dropped_during_a_run_is_skipped_until_it_is_captured_again(database: SourceDatabase) -> None:
    captured(database, "dbo.A", "dbo.B")
    database.run("INSERT INTO dbo.A VALUES (1, N'')")
    config = database.config("A", "dbo.B", on_table_change="skip", poll_interval="10ms", columns={"A": {}})

    def drop(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 1 and not dropped:
            dropped.append(True)
            database.run("INSERT INTO dbo.A VALUES (2, N'')")
            database.run("DROP TABLE dbo.A")
            database.run("INSERT INTO dbo.B VALUES (1, N'')")
        if len(reading.lines) == 2:
            stop.set()

    dropped: list[bool] = []
    first = read(config, on_item=drop, once=False)
    assert names_and_ids(first) == [("Insert", "dbo.A", 1), ("Insert", "dbo.B", 1)]
    (changed,) = warnings(first, "mssql.table_changed")
    assert (changed["table"], changed["code"]) == ("dbo.A", "mssql.instance_dropped")
    database.run("INSERT INTO dbo.B VALUES (2, N'')")
    second = read(config, first.state)
    assert names_and_ids(second) == [("Insert", "dbo.B", 2)]
    assert [line["table"] for line in warnings(second, "mssql.table_skipped")] == ["dbo.A"]
    for settings in ({"on_table_change": "fail"}, {"tables": ["A", "B", "C"]}, {"columns": {"dbo.C": {}}}):
        with pytest.raises(DStreamError) as caught:
            read({**config, **settings}, second.state)
        assert caught.value.code in ("mssql.unknown_table", "mssql.columns")
    captured(database, "dbo.A")
    database.run("INSERT INTO dbo.A VALUES (3, N'')")
    third = read({**config, "on_table_change": "fail"}, second.state)
    assert names_and_ids(third) == [("Insert", "dbo.A", 3)]
    assert "skipped" not in third.state


def test_a_table_whose_capture_was_enabled_again_is_read_with_its_rows(database: SourceDatabase) -> None:
    captured(database, "dbo.A", "dbo.B")
    config = database.config("dbo.*", on_table_change="resnapshot")
    first = read(config)
    database.run("INSERT INTO dbo.A VALUES (1, N''), (2, N'')")
    database.run("EXEC sys.sp_cdc_disable_table N'dbo', N'A', N'all'")
    database.run("INSERT INTO dbo.B VALUES (1, N'')")
    second = read(config, first.state)
    assert names_and_ids(second) == [("Insert", "dbo.B", 1)]
    database.capture("dbo.A")
    database.run("UPDATE dbo.A SET Id = 3 WHERE Id = 2")
    third = read(config, second.state)
    assert sorted(names_and_ids(third)) == [
        ("Delete", "dbo.A", 2),
        ("Insert", "dbo.A", 3),
        ("Read", "dbo.A", 1),
        ("Read", "dbo.A", 3),
    ]
    database.run("DROP TABLE dbo.A")
    captured(database, "dbo.A")
    database.run("INSERT INTO dbo.A VALUES (4, N'')")
    fourth = read(config, third.state)
    assert {*names_and_ids(fourth)} == {("Insert", "dbo.A", 4), ("Read", "dbo.A", 4)}
    assert [line["code"] for line in warnings(fourth, "mssql.table_changed")] == ["mssql.table_recreated"]


def test_schema_records_precede_the_rows_of_each_shape(database: SourceDatabase) -> None:
    captured(database, "dbo.A", "dbo.B")
    database.run("INSERT INTO dbo.A VALUES (1, N'')")
    config = database.config("dbo.*", schema_records=True)
    first = read(config)
    assert [event["metadata"]["OperationType"] for event in first.events] == ["Schema", "Insert"]
    assert first.events[0]["data"] == {
        "columns": [{"name": "Id", "type": "int"}, {"name": "Name", "type": "nvarchar(50)"}],
        "key": ["Id"],
    }
    database.run("ALTER TABLE dbo.A ADD Price decimal(9, 2)")
    database.capture("dbo.A", "a_2")
    database.run("INSERT INTO dbo.A VALUES (2, N'', 1.5)")
    database.run("INSERT INTO dbo.B VALUES (1, N'')")
    second = read(config, first.state)
    assert types(second) == ["dbo.A int nvarchar(50) decimal(9,2)", "dbo.A", "dbo.B int nvarchar(50)", "dbo.B"]
    database.run("ALTER TABLE dbo.A ALTER COLUMN Name nvarchar(max)")
    database.run("UPDATE dbo.A SET Name = N'long'")
    third = read(config, second.state)
    assert types(third) == ["dbo.A int nvarchar(max) decimal(9,2)", "dbo.A", "dbo.A"]
    assert types(read({**config, "start_from": "snapshot"}))[:2] == ["dbo.A int nvarchar(max) decimal(9,2)", "dbo.A"]


def types(reading: Reading) -> list[str]:
    """The table of each line, with the types of the columns in its schema records."""
    return [
        " ".join([event["metadata"]["TableName"], *(column["type"] for column in event["data"].get("columns", []))])
        for event in reading.events
    ]


def test_a_table_dropped_between_runs_ends_the_next_one_unless_it_is_skipped(database: SourceDatabase) -> None:
    """Also if `tables` selects it by its schema, so that nothing is lost in silence."""
    captured(database, "dbo.A", "dbo.B", "dbo.C")
    first = read(database.config("dbo.*"))
    database.run("INSERT INTO dbo.C VALUES (1, N'')")
    database.run("DROP TABLE dbo.A")
    database.run("EXEC sp_rename 'dbo.B', 'B_old'")
    with pytest.raises(DStreamError) as caught:
        read(database.config("dbo.*"), first.state)
    assert caught.value.code == "mssql.instance_dropped"
    selected = database.config("dbo.A", "dbo.B", "dbo.C", on_table_change="skip")
    found = examined(selected, first.state)
    assert {each.mark for each in found} == {"ok", "warning"}
    assert {name for name in ("dbo.A", "dbo.B", "dbo.C") for each in found if name in each.text} == {"dbo.A", "dbo.B"}
    second = read(selected, first.state)
    assert names_and_ids(second) == [("Insert", "dbo.C", 1)]
    assert {line["table"]: line["code"] for line in warnings(second, "mssql.table_changed")} == {
        "dbo.A": "mssql.instance_dropped",
        "dbo.B": "mssql.table_renamed",
    }
    assert list(second.state["skipped"]) == ["dbo.A", "dbo.B"]
