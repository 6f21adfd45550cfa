"""`dstream provider test` checks mssql_cdc against the protocol, with a real driver and a source with rows."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.mssql_cdc.source_server import PASSWORD, SourceDatabase
from tests.running import DStream


def test_mssql_cdc_passes_the_kit(database: SourceDatabase, tmp_path: Path) -> None:
    database.run("CREATE TABLE dbo.Persons (Id int PRIMARY KEY, Name nvarchar(50))")
    database.capture("dbo.Persons")
    for thousand in range(4):
        rows = ", ".join(f"({1000 * thousand + n}, N'name {n}')" for n in range(1000))
        database.run(f"INSERT INTO dbo.Persons VALUES {rows}")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(database.config("dbo.Persons", poll_interval="50ms")))
    done = DStream(tmp_path)("provider", "test", "mssql_cdc", "--role", "input", "--config", config, "--json")
    report = json.loads(done.stdout)
    assert [(each["name"], each["reason"]) for each in report["checks"] if each["outcome"] != "passed"] == []
    assert done.returncode == 0
    assert (report["name"], report["role"], report["passed"]) == ("mssql_cdc", "input", True)
    assert PASSWORD not in done.stdout + done.stderr
