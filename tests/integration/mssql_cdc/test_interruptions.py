"""A server that goes down while the reader runs, and comes back."""

from __future__ import annotations

import threading

import pytest

from dstream.sdk import Stop
from tests.integration.mssql_cdc.source_server import Reading, SourceDatabase, SourceServer, make_database, read


def test_a_server_restart_neither_loses_nor_repeats_rows(own_server: SourceServer) -> None:
    """Nor does a new service_broker_guid change the ids of the rest of a transaction."""
    database = make_database(own_server, "Source")
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1), (2), (3), (4), (5)")
    killed, finished = threading.Event(), threading.Event()

    def restart() -> None:
        own_server.start()
        again = own_server.connect("Source")
        again.execute("ALTER DATABASE CURRENT SET NEW_BROKER").close()
        again.execute("INSERT INTO dbo.Persons VALUES (6)").close()
        again.close()
        finished.wait()  # The server exits with the thread that started it (PR_SET_PDEATHSIG).

    restarting = threading.Thread(target=restart)

    def disturb(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 2 and not killed.is_set():
            own_server.kill()
            killed.set()
            restarting.start()
        if len(reading.lines) == 6:
            stop.set()

    pace = {"page_rows": 1, "checkpoint_lines": 1}
    reading = read(database.config("Persons", poll_interval="10ms"), on_item=disturb, pace=pace, once=False)
    finished.set()
    restarting.join()
    assert [row["Id"] for _, row in reading.rows] == [1, 2, 3, 4, 5, 6]
    told = [line["event"] for line in reading.telemetry if line.get("dstream") == "log"]
    assert "mssql.reconnect" in told
    assert told[-2:] == ["mssql.broker_guid_changed", "mssql.reconnected"]
    assert len({event["metadata"]["Id"].split("/")[0] for event in reading.events}) == 1


def test_a_stop_while_the_server_is_down_ends_the_run(own_server: SourceServer) -> None:
    database = make_database(own_server, "Source")
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1)")

    def disturb(reading: Reading, stop: Stop) -> None:
        if len(reading.lines) == 1:
            own_server.kill()
            threading.Timer(0.5, stop.set).start()

    config = database.config("Persons", poll_interval="10ms")
    config["db_connection_string"] += ";timeout=2"
    reading = read(config, on_item=disturb, once=False)
    assert reading.states[-1][0] == 1
    own_server.start()


@pytest.mark.parametrize("row_versions", [True, False])
def test_uncommitted_rows_of_capture_block_reads_only_without_row_versions(
    database: SourceDatabase, row_versions: bool
) -> None:
    """Another session's lock stands for that of a capture cycle, which ends once the reader has been timed out."""
    database.run("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF")
    database.run(f"ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {'ON' if row_versions else 'OFF'}")
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    capture = database.server.connect(database.name, autocommit=False)
    hints: list[str] = []

    def lock_or_release(reading: Reading, stop: Stop) -> None:
        if len(reading.states) == 1:
            capture.execute("SELECT COUNT(*) FROM cdc.lsn_time_mapping WITH (TABLOCKX, HOLDLOCK)").close()
        if reading.lines:
            stop.set()

    class Releasing(list[dict[str, object]]):
        def append(self, line: dict[str, object]) -> None:
            super().append(line)
            if line.get("event") == "mssql.reconnect":
                hints.append(str(line.get("hint")))
                capture.rollback()

    config = database.config("Persons", poll_interval="10ms", query_timeout="1s")
    reading = read(config, on_item=lock_or_release, telemetry=Releasing(), once=False)
    capture.close()
    assert [row["Id"] for _, row in reading.rows] == [1]
    assert (hints == []) == row_versions
    assert all("ALLOW_SNAPSHOT_ISOLATION ON" in hint for hint in hints)
