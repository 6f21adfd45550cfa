"""What `dstream doctor` finds out about the source, and the T-SQL that it suggests."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dstream.sdk import Finding
from tests.integration.mssql_cdc.source_server import PASSWORD, SourceDatabase, provider, read

PAGE = Path(__file__).parents[3] / "docs/reference/providers/mssql_cdc.md"
READER_PASSWORD = "Reading-horse-1"


def findings(config: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> dict[str, Finding]:
    """The findings by subject; the last one of each."""
    one = provider(config, lambda line: None)
    try:
        return {found.subject: found for found in one.doctor(state or {})}
    finally:
        one.close()


def run_fixes(database: SourceDatabase, found: Mapping[str, Finding]) -> None:
    for each in found.values():
        for statement in statements(each.fix):
            database.run(statement)


def wrong(found: Mapping[str, Finding]) -> dict[str, str]:
    return {subject: each.mark for subject, each in found.items() if each.mark != "ok"}


def statements(fix: str) -> list[str]:
    """The T-SQL in a fix: its complete lines."""
    return [line for line in fix.splitlines() if re.match(r"\s*(EXEC|GRANT|CREATE|USE|REVOKE) ", line)]


def documented_scripts() -> tuple[str, str]:
    """What is necessary, and what `doctor` needs in addition."""
    section = PAGE.read_text().split("## Permissions")[1].split("\n## ")[0]
    necessary, optional = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    return necessary, optional


@pytest.fixture
def persons(database: SourceDatabase) -> SourceDatabase:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    database.capture("dbo.Persons")
    return database


@pytest.fixture
def administrator(persons: SourceDatabase) -> Iterator[SourceDatabase]:
    """A connection of its own, since USE changes its database."""
    connection = persons.server.connect(persons.name)
    with contextlib.closing(connection):
        yield SourceDatabase(persons.server, persons.name, connection)


def reader_config(database: SourceDatabase, login: str) -> dict[str, Any]:
    config = database.config("Persons")
    text = config["db_connection_string"].replace("UID=sa", f"UID={login}").replace(PASSWORD, READER_PASSWORD)
    return {**config, "db_connection_string": text}


def test_the_documented_permissions_suffice_and_each_one_is_named_if_it_is_missing(
    persons: SourceDatabase, administrator: SourceDatabase
) -> None:
    necessary, optional = documented_scripts()
    administrator.run(f"CREATE LOGIN dstream WITH PASSWORD = '{READER_PASSWORD}'")
    administrator.run(necessary)
    config = reader_config(persons, "dstream")
    persons.run("INSERT INTO dbo.Persons VALUES (1)")
    assert read(config).rows == [("Insert", {"Id": 1})]
    found = findings(config)
    assert wrong(found) == {"SQL Server Agent": "warning", "jobs": "warning", "capture state": "warning"}
    grants = [each.replace("[dstream]", "dstream") for one in found.values() for each in statements(one.fix)]
    assert len(grants) == 6
    assert all(grant in optional for grant in grants)
    administrator.run(optional)
    complete = findings(config)
    assert wrong(complete) == {}
    assert complete["login"].text == f"dstream, user dstream in database {persons.name}"

    for grant, scope, subject, mark, text in [
        ("VIEW SERVER STATE", "master", "SQL Server Agent", "warning", "VIEW SERVER"),
        ("VIEW DATABASE STATE", persons.name, "capture state", "warning", "VIEW DATABASE"),
        ("SELECT ON dbo.cdc_jobs", "msdb", "jobs", "warning", "'cdc_jobs'"),
        ("SELECT ON dbo.sysjobs", "msdb", "jobs", "warning", "'sysjobs'"),
        ("SELECT ON dbo.sysjobactivity", "msdb", "jobs", "warning", "'sysjobactivity'"),
        ("VIEW DEFINITION ON SCHEMA::dbo", persons.name, "tables", "failure", "visible to the login"),
        ("SELECT ON SCHEMA::cdc", persons.name, "permissions", "failure", "SELECT permission was denied"),
    ]:
        administrator.run(f"USE [{scope}]; REVOKE {grant} FROM dstream")
        missing = findings(config)[subject]
        assert missing.mark == mark
        assert text in missing.text
        assert f"GRANT {grant.split(' ON ')[0]}" in missing.fix
        if scope == "msdb":  # the others stay revoked: VIEW SERVER STATE includes VIEW DATABASE STATE
            administrator.run(f"GRANT {grant} TO dstream")


def test_the_suggested_statements_fix_the_jobs(persons: SourceDatabase) -> None:
    config = persons.config("Persons")
    persons.run("EXEC sys.sp_cdc_stop_job @job_type = N'capture'")
    persons.run(f"EXEC msdb.dbo.sp_update_job @job_name = N'cdc.{persons.name}_cleanup', @enabled = 0")
    persons.run("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 180")
    persons.run("EXEC sys.sp_sandbox_capture_error @number = 1105, @message = N'The filegroup is full.'")
    found = findings(config)
    assert wrong(found) == dict.fromkeys(
        ["SQL Server Agent", "capture job", "cleanup job", "retention", "capture errors"], "warning"
    )
    assert found["retention"].text.startswith("changes are kept for 3 h:")
    assert "1105: The filegroup is full." in found["capture errors"].text
    run_fixes(persons, found)
    assert wrong(findings(config)) == {"capture errors": "warning"}
    persons.run("EXEC sys.sp_cdc_drop_job @job_type = N'capture'")  # as after a failover to another replica
    persons.run("EXEC sys.sp_cdc_drop_job @job_type = N'cleanup'")
    found = findings(config)
    assert found["capture job"].text.startswith("does not exist")
    assert found["cleanup job"].text.startswith("does not exist")
    run_fixes(persons, found)
    assert wrong(findings(config)) == {"capture errors": "warning"}


def test_what_is_wrong_with_tables_is_listed_with_its_fix(persons: SourceDatabase) -> None:
    persons.run("CREATE TABLE dbo.Orders (Id int PRIMARY KEY); CREATE TABLE dbo.Lines (Id int PRIMARY KEY)")
    config = persons.config("Persons", "Orders", "Lines")
    one = provider(config, lambda line: None)
    problems = [found for found in one.doctor({}) if found.mark == "failure"]
    one.close()
    assert [found.text.rpartition(" ")[2] for found in problems] == ["dbo.Orders", "dbo.Lines"]
    run_fixes(persons, {found.text: found for found in problems})
    assert wrong(findings(config)) == {}
    persons.run("ALTER TABLE dbo.Persons ADD Name nvarchar(9)")
    added = findings(config)["columns"]
    assert (added.mark, added.text) == ("warning", "no capture instance of dbo.Persons has Name")
    persons.run(statements(added.fix)[0])
    assert wrong(findings(config)) == {}


def test_a_checkpoint_is_compared_with_what_cleanup_has_left(persons: SourceDatabase) -> None:
    config = persons.config("Persons")
    assert findings(config)["checkpoint"].text == "none: the next run starts at earliest"
    persons.run("INSERT INTO dbo.Persons VALUES (1)")
    state = read(config).state
    assert findings(config, state)["time to loss"].text == "3 d: all captured changes have been read"
    persons.run("INSERT INTO dbo.Persons VALUES (2)")
    assert "the oldest unread change is" in findings(config, state)["time to loss"].text
    persons.run("INSERT INTO dbo.Persons VALUES (3)")
    persons.run(
        "DECLARE @last binary(10) = sys.fn_cdc_get_max_lsn(); "
        "EXEC sys.sp_cdc_cleanup_change_table N'dbo_Persons', @last, 5000"
    )
    lost = findings(config, state)["time to loss"]
    assert (lost.mark, lost.text.split(" of ")[0]) == ("failure", "CDC cleanup may have removed unread changes")
    assert findings({**config, "on_gap": "continue"}, state)["time to loss"].mark == "warning"
    persons.run("EXEC sys.sp_cdc_disable_table N'dbo', N'Persons', N'dbo_Persons'")
    persons.capture("dbo.Persons")
    assert findings(config, state)["checkpoint"].mark == "failure"


def test_many_missing_tables_are_counted(persons: SourceDatabase) -> None:
    one = provider(persons.config("Persons", *(f"No{number}" for number in range(7))), lambda line: None)
    *listed, rest = [found.text for found in one.doctor({}) if found.subject == "tables"]
    one.close()
    assert len(listed) == 5
    assert rest == "2 more problems of this kind"


def test_on_a_secondary_only_the_checkpoint_is_checked(persons: SourceDatabase) -> None:
    persons.run("INSERT INTO dbo.Persons VALUES (1)")
    state = read(persons.config("Persons")).state
    ahead = {**state, "pos": ["ff" + state["pos"][0][2:], *state["pos"][1:]], "tran_id": None}
    persons.run(f"ALTER DATABASE [{persons.name}] SET READ_ONLY")
    found = findings(persons.config("Persons"), state)
    assert found["server"].text.endswith(", a readable secondary")
    assert found["capture"].text.startswith("runs on the primary")
    assert (wrong(found), "capture job" in found) == ({}, False)
    late = findings(persons.config("Persons"), ahead)["checkpoint"]
    assert (late.mark, "has not reached the position ff" in late.text) == ("warning", True)


def test_a_database_without_cdc_ends_the_examination(make: Callable[..., SourceDatabase]) -> None:
    plain = make(cdc=False)
    found = findings(plain.config("Persons"))
    assert (list(found), wrong(found)) == (
        ["server", "login", "change data capture"],
        {"change data capture": "failure"},
    )
    assert "EXEC sys.sp_cdc_enable_db;" in found["change data capture"].fix


def test_azure_has_no_agent_and_its_retention_is_in_the_database(azure: SourceDatabase) -> None:
    azure.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY)")
    azure.capture("dbo.Persons")
    found = findings(azure.config("Persons"))
    assert wrong(found) == {}
    assert found["server"].text.startswith("Azure SQL Database 12.0.2000.8, SQL Azure, at ")
    assert found["capture job"].text == "scheduled by Azure SQL Database"
    assert found["retention"].text == "changes are kept for 3 d"
    assert "SQL Server Agent" not in found
