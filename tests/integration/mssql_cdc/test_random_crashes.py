"""Every row arrives in commit order, whatever the size of pages and wherever a run crashes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, read


@pytest.mark.parametrize("seed", range(3))
def test_every_row_arrives_with_any_page_size_and_any_crash(database: SourceDatabase, seed: int) -> None:
    chance = random.Random(seed)
    tables = ["dbo.A", "dbo.B"]
    for name in tables:
        database.run(f"CREATE TABLE {name} (Id int PRIMARY KEY, Name nvarchar(50))")
        database.capture(name)
    _random_transactions(database, chance, tables, count=12)
    expected = _expected(database, tables)
    assert len(expected) > 20
    lines, state = _with_crashes(database.config("A", "B"), chance)
    assert [(e["metadata"]["LSN"], e["metadata"]["Id"]) for e in Reading(lines).events] == expected
    assert read(database.config("A", "B"), state).lines == []
    assert read(database.config("A", "B")).lines == lines


def _with_crashes(config: dict[str, Any], chance: random.Random) -> tuple[list[bytes], Any]:
    lines: list[bytes] = []
    state: Any = None
    for crash in range(6):
        pace = {"page_rows": chance.randint(1, 7), "window_transactions": chance.randint(1, 6), "checkpoint_lines": 2}
        reading = read(config, state, stop_after=None if crash == 5 else chance.randint(2, 12), pace=pace)
        if crash == 5:
            return lines + reading.lines, reading.state
        if reading.states:
            count, state = chance.choice(reading.states)
            lines += reading.lines[:count]
    raise AssertionError


def _random_transactions(database: SourceDatabase, chance: random.Random, tables: list[str], count: int) -> None:
    for table in tables:
        database.run(f"INSERT INTO {table} VALUES (1, N'a'), (2, N'b'), (3, N'c'), (4, N'd')")
    for number in range(count):
        with database.transaction():
            for _ in range(chance.randint(1, 3)):
                table, key = chance.choice(tables), chance.randint(1, 9)
                statement = chance.choice(
                    [
                        f"INSERT INTO {table} SELECT Id + {100 * number + 100}, Name FROM {table} WHERE Id < 10",
                        f"INSERT INTO {table} SELECT {key}, N'n' WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE Id = {key})",
                        f"UPDATE {table} SET Name = N'u{number}' WHERE Id < 10 OR Id > {100 * number}",
                        f"UPDATE {table} SET Id = Id + 10000 WHERE Id > 99 AND Id < 10000",
                        f"DELETE {table} WHERE Id = {key}",
                    ]
                )
                database.run(statement)


def _expected(database: SourceDatabase, tables: list[str]) -> list[tuple[str, str]]:
    """LSN and Id of each expected event in order, from a plain query of the change tables."""
    guid = database.rows("SELECT service_broker_guid FROM sys.databases WHERE name = DB_NAME()")[0][0].lower()
    rows = []
    for name in tables:
        object_id = database.rows("SELECT OBJECT_ID(?)", name)[0][0]
        found = database.rows(
            "SELECT [__$start_lsn], [__$command_id], [__$seqval], [__$operation] "
            f"FROM cdc.[{name.replace('.', '_')}_CT] WHERE [__$operation] <> 3"
        )
        rows += [(*row, object_id) for row in found]
    rows.sort()
    return [
        (lsn.hex(), f"{guid[:8]}/{object_id}/{lsn.hex()}/{command}/{seqval.hex()}/{operation}")
        for lsn, command, seqval, operation, object_id in rows
    ]
