"""A database that is restored, moved or repaired between runs: what is refused, and what continues."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from dstream.sdk.errors import DStreamError
from tests.integration.mssql_cdc.source_server import SourceDatabase, read


def persons(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")


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


def _lsn(state: Any) -> str:
    text: str = state["pos"][0]
    return text
