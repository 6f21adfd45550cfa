"""Errors when the source is not ready: the code, the place in the config, and the T-SQL that fixes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyodbc
import pytest

from dstream.sdk.errors import DStreamError
from tests.integration.mssql_cdc.source_server import PASSWORD, SourceDatabase, SourceServer, read


def failure(config: dict[str, Any]) -> tuple[str, str, str, DStreamError]:
    with pytest.raises(DStreamError) as caught:
        read({"start_from": "earliest", **config})
    error = caught.value
    assert "Correct-horse" not in f"{error.message}{error.hint}"
    return error.code, error.kind, error.config_path, error


def test_a_wrong_password(server: SourceServer) -> None:
    text = server.connection_string("master", password="Wrong-horse-1")
    code, kind, path, error = failure({"db_connection_string": text, "tables": ["T"]})
    assert (code, kind, path) == ("mssql.login_failed", "auth", "db_connection_string")
    assert "ALTER LOGIN [sa]" in error.hint


def test_an_unknown_database(server: SourceServer) -> None:
    code, kind, path, error = failure({"db_connection_string": server.connection_string("Nowhere"), "tables": ["T"]})
    assert (code, kind, path) == ("mssql.unknown_database", "auth", "db_connection_string")
    assert "CREATE USER" in error.hint


def test_a_server_that_does_not_answer() -> None:
    config = {"db_connection_string": "server=127.0.0.1,1;database=S;uid=u;pwd=p;timeout=2", "tables": ["T"]}
    assert failure(config)[:3] == ("mssql.unreachable", "unreachable", "db_connection_string")


def test_an_untrusted_certificate(server: SourceServer) -> None:
    text = server.connection_string("master").replace("TrustServerCertificate=yes", "TrustServerCertificate=no")
    assert failure({"db_connection_string": text, "tables": ["T"]})[:2] == ("mssql.tls", "config")


def test_a_missing_driver(database: SourceDatabase) -> None:
    code, kind, path, _ = failure(database.config("T", odbc_driver="/nowhere/driver.so"))
    assert (code, kind, path) == ("mssql.driver_missing", "config", "odbc_driver")


def test_a_database_without_cdc(make: Callable[..., SourceDatabase]) -> None:
    plain = make(cdc=False)
    code, kind, _, error = failure(plain.config("T"))
    assert (code, kind) == ("mssql.cdc_disabled", "config")
    assert plain.name in error.message
    assert "EXEC sys.sp_cdc_enable_db;" in error.hint
    assert f"EXEC msdb.dbo.rds_cdc_enable_db N'{plain.name}';" in error.hint


def test_a_table_without_capture(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    code, kind, path, error = failure(database.config("Persons"))
    assert (code, kind, path) == ("mssql.table_not_captured", "config", "tables[0]")
    assert "@source_schema = N'dbo', @source_name = N'Persons'" in error.hint


def test_an_unknown_table(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    code, kind, path, error = failure(database.config("Persons", "Person"))
    assert (code, kind, path) == ("mssql.unknown_table", "config", "tables[1]")
    assert 'Did you mean "dbo.Persons"?' in error.hint


def test_a_login_needs_the_documented_grants_and_no_more(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    login = f"reader_{database.name}"
    database.run(f"CREATE LOGIN [{login}] WITH PASSWORD = 'Reading-horse-1'")
    config = database.config("Persons")
    config["db_connection_string"] = config["db_connection_string"].replace("UID=sa", f"UID={login}")
    config["db_connection_string"] = config["db_connection_string"].replace("Correct-horse-1", "Reading-horse-1")
    code, kind, _, error = failure(config)
    assert (code, kind) == ("mssql.unknown_database", "auth")
    assert f"CREATE USER [{login}] FOR LOGIN [{login}]" in error.hint
    database.run(f"CREATE USER [{login}] FOR LOGIN [{login}]")
    code, kind, _, error = failure(config)
    assert (code, kind) == ("mssql.no_grant", "auth")
    _, *grants = error.hint.split("\n")
    assert [grant.strip().partition(";")[0] for grant in grants] == [
        f"GRANT SELECT ON SCHEMA::cdc TO [{login}]",
        f"GRANT VIEW DEFINITION ON SCHEMA::dbo TO [{login}]",
    ]
    for grant in grants:
        database.run(grant)
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    assert read(config).rows == [("Insert", {"Id": 1})]


def test_a_stopped_agent_is_reported_and_captured_rows_are_read(database: SourceDatabase) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1)")
    database.run("EXEC sys.sp_cdc_stop_job @job_type = N'capture'")
    database.run("INSERT INTO dbo.Persons VALUES (2)")
    reading = read(database.config("Persons"))
    assert reading.rows == [("Insert", {"Id": 1})]
    (warning,) = [line for line in reading.telemetry if line.get("event") == "mssql.agent_stopped"]
    start, add = (line for line in warning["hint"].split("\n") if "sp_start_job" in line or "N'capture'" in line)
    database.run(start)
    assert len(read(database.config("Persons")).rows) == 2
    database.run("EXEC sys.sp_cdc_drop_job @job_type = N'capture'")  # as after a failover to another replica
    database.run("INSERT INTO dbo.Persons VALUES (3)")
    with pytest.raises(pyodbc.Error, match="14262"):
        database.run(start)
    database.run(add)
    assert len(read(database.config("Persons")).rows) == 3


def test_a_masked_column_is_refused_until_unmask_is_granted(database: SourceDatabase) -> None:
    mask = "MASKED WITH (FUNCTION = 'default()')"
    database.run(f"CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name nvarchar(9) {mask})")
    database.capture("dbo.Persons")
    database.run("INSERT INTO dbo.Persons VALUES (1, N'Ada')")
    config = reader_config(database)
    code, kind, path, error = failure(config)
    assert (code, kind, path) == ("mssql.masked_column", "auth", "columns")
    excluded = read({**config, "columns": {"Persons": {"exclude": ["Name"]}}})
    assert excluded.rows == [("Insert", {"Id": 1})]
    redacted = read({**config, "columns": {"Persons": {"redact": ["Name"]}}})
    assert redacted.rows == [("Insert", {"Id": 1, "Name": "***"})]
    database.run(error.hint.split("\n")[1].split("--")[0])
    assert read(config).rows == [("Insert", {"Id": 1, "Name": "Ada"})]


def reader_config(database: SourceDatabase) -> dict[str, Any]:
    """The settings of a login with the documented grants."""
    login = f"reader_{database.name}"
    database.run(f"CREATE LOGIN [{login}] WITH PASSWORD = 'Reading-horse-1'")
    database.run(f"CREATE USER [{login}] FOR LOGIN [{login}]")
    database.run(f"GRANT SELECT ON SCHEMA::cdc TO [{login}]; GRANT VIEW DEFINITION ON SCHEMA::dbo TO [{login}]")
    config = database.config("Persons")
    text = config["db_connection_string"].replace("UID=sa", f"UID={login}").replace(PASSWORD, "Reading-horse-1")
    return {**config, "db_connection_string": text}


def test_a_change_table_that_is_not_in_reading_order_is_reported(database: SourceDatabase) -> None:
    for name in ("dbo.Persons", "dbo.Orders"):
        database.run(f"CREATE TABLE {name} (Id int PRIMARY KEY)")
        database.capture(name)
    database.run(
        "CREATE UNIQUE CLUSTERED INDEX dbo_Persons_CT_clustered_idx ON cdc.dbo_Persons_CT "
        "([__$start_lsn], [__$seqval], [__$operation]) WITH (DROP_EXISTING = ON)"
    )
    reading = read(database.config("dbo.*"))
    (warning,) = [line for line in reading.telemetry if line.get("event") == "mssql.slow_change_table"]
    assert warning["table"] == "dbo.Persons"
    assert "@capture_instance = N'dbo_Persons_2'" in warning["hint"]
