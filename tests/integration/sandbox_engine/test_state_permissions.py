"""What a login needs to see the state of capture: its jobs, errors, latency and the size of change tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dstream_sandbox.sqlserver.engine import open_engine
from dstream_sandbox.sqlserver.engine.platforms import AZURE_SQL_DATABASE
from dstream_sandbox.sqlserver.session import Engine

from tests.integration.sandbox_engine.client import Client, connect

STATE = ("sys.dm_cdc_errors", "sys.dm_cdc_log_scan_sessions", "sys.dm_db_partition_stats")
JOBS = "SELECT job_type, retention FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() ORDER BY job_type"


@pytest.fixture
def reader(tracked: Client, engine: Engine, database: str) -> Iterator[Client]:
    """A login with a user in the database and no permissions."""
    tracked.run(f"CREATE LOGIN reader_{database} WITH PASSWORD = 'Reading-horse-1'")
    tracked.run(f"CREATE USER reader FOR LOGIN reader_{database}")
    client = connect(engine, database, user=f"reader_{database}", password="Reading-horse-1")
    yield client
    client.close()


@pytest.mark.parametrize("permission", ["VIEW DATABASE STATE", "VIEW DATABASE PERFORMANCE STATE"])
def test_the_state_of_a_database_needs_a_permission_on_it(tracked: Client, reader: Client, permission: str) -> None:
    for view in STATE:
        assert (
            reader.answer(f"SELECT 1 FROM {view}")
            .messages[0]
            .text.startswith("VIEW DATABASE PERFORMANCE STATE permission denied in database")
        )
        assert reader.error(f"SELECT 1 FROM {view}") == 262
    tracked.run(f"GRANT {permission} TO reader")
    assert all(reader.answer(f"SELECT 1 FROM {view}").errors == [] for view in STATE)
    tracked.run(f"REVOKE {permission} FROM reader")
    assert reader.error("SELECT 1 FROM sys.dm_cdc_errors") == 262


def test_the_state_of_the_server_needs_a_permission_granted_in_master(
    tracked: Client, reader: Client, database: str
) -> None:
    assert reader.error("SELECT 1 FROM sys.dm_server_services") == 300
    grant = f"GRANT VIEW SERVER STATE TO reader_{database}"
    assert tracked.error(grant) == 4621
    tracked.run(f"USE master; {grant}")
    assert reader.answer("SELECT 1 FROM sys.dm_server_services").errors == []
    assert reader.answer("SELECT 1 FROM sys.dm_cdc_errors").errors == []


@pytest.mark.parametrize("view", ["sys.dm_tran_current_transaction", "sys.dm_tran_database_transactions"])
def test_the_transactions_of_a_database_need_a_permission_on_the_server(
    tracked: Client, reader: Client, database: str, view: str
) -> None:
    """Microsoft Learn, the view's page, Permissions."""
    assert reader.error(f"SELECT 1 FROM {view}") == 300
    tracked.run(f"USE master; GRANT VIEW SERVER STATE TO reader_{database}")
    assert reader.answer(f"SELECT 1 FROM {view}").errors == []


def test_the_jobs_are_in_msdb_and_need_select_there(tracked: Client, reader: Client, database: str) -> None:
    assert reader.error(JOBS) == 229
    tracked.run(f"USE msdb; CREATE USER reader_{database} FOR LOGIN reader_{database}")
    for table in ("cdc_jobs", "sysjobs", "sysjobactivity"):
        tracked.run(f"GRANT SELECT ON dbo.{table} TO reader_{database}")
    assert reader.rows(JOBS) == [("capture", 0), ("cleanup", 4320)]
    states = (
        "SELECT s.name, s.enabled, CASE WHEN a.stop_execution_date IS NULL THEN 1 ELSE 0 END FROM msdb.dbo.cdc_jobs c "
        "JOIN msdb.dbo.sysjobs s ON s.job_id = c.job_id JOIN msdb.dbo.sysjobactivity a ON a.job_id = c.job_id "
        "WHERE c.database_id = DB_ID() ORDER BY s.name"
    )
    assert reader.rows(states) == [(f"cdc.{database}_capture", 1, 1), (f"cdc.{database}_cleanup", 1, 0)]
    tracked.run(f"USE {database}; EXEC sys.sp_cdc_stop_job N'capture'")
    tracked.run(f"EXEC msdb.dbo.sp_update_job @job_name = N'cdc.{database}_cleanup', @enabled = 0")
    assert reader.rows(states) == [(f"cdc.{database}_capture", 1, 0), (f"cdc.{database}_cleanup", 0, 0)]
    assert tracked.error("SELECT 1 FROM cdc.cdc_jobs") == 208


def test_a_failed_log_scan_is_listed(tracked: Client) -> None:
    tracked.run("EXEC sys.sp_sandbox_capture_error @number = 1105, @message = N'The filegroup is full.'")
    rows = tracked.rows("SELECT error_number, error_message FROM sys.dm_cdc_errors")
    assert rows == [(1105, "The filegroup is full.")]


def test_azure_keeps_jobs_and_permissions_in_the_database_and_reads_no_other_database(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, user="sa", password="secret", platform=AZURE_SQL_DATABASE)
    master = connect(engine, "master")
    master.run("CREATE DATABASE d")
    client = connect(engine, "d")
    client.run("EXEC sys.sp_cdc_enable_db")
    assert client.rows("SELECT job_type, retention FROM cdc.cdc_jobs") == [("capture", 0), ("cleanup", 4320)]
    assert client.error(JOBS) == 40515
    edition = "CONVERT(int, SERVERPROPERTY('EngineEdition')), CONVERT(nvarchar(99), SERVERPROPERTY('Edition'))"
    assert client.rows(f"SELECT {edition}") == [(5, "SQL Azure")]
    master.run("CREATE LOGIN reader WITH PASSWORD = 'Reading-horse-1'")
    client.run("CREATE USER reader FOR LOGIN reader")
    reader = connect(engine, "d", user="reader", password="Reading-horse-1")
    assert reader.error("SELECT 1 FROM sys.dm_tran_database_transactions") == 262
    client.run("GRANT VIEW DATABASE STATE TO reader")
    assert reader.answer("SELECT 1 FROM sys.dm_tran_database_transactions").errors == []
    reader.close()
    client.close()
    master.close()
    engine.close()
