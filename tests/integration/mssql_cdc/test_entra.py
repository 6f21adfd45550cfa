"""Logins with tokens of Entra ID, through azure-identity and Microsoft's driver."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from dstream_mssql_cdc.server import backoff
from dstream_sandbox.entra_tokens import SQL, issue

from dstream.sdk.errors import AuthError
from tests.integration.mssql_cdc.source_server import PASSWORD, SourceDatabase, read

ME = "5f0c1f6e-6b0a-4b6b-9a52-0d3f6f1f8a11"


class AzureCli:
    """An `az` whose `account get-access-token` prints the content of a file and counts its calls."""

    def __init__(self, folder: Path) -> None:
        self._token, self._calls = folder / "token", folder / "calls"
        script = folder / "az"
        script.write_text(f'#!/bin/sh\necho "$@" >> {self._calls}\ncat {self._token}\n')
        script.chmod(0o755)

    @property
    def token(self) -> str:
        token: str = json.loads(self._token.read_text())["accessToken"]
        return token

    def log_in(self, principal_id: str = ME, lasts_s: float = 60) -> None:
        expires_on = int(time.time() + lasts_s)
        token = issue(PASSWORD, SQL, principal_id, expires_on)
        self._token.write_text(json.dumps({"accessToken": token, "expires_on": expires_on}))

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureCli:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(backoff, "_FIRST_WAIT_S", 0.01)
    return AzureCli(tmp_path)


@pytest.fixture
def source(database: SourceDatabase) -> SourceDatabase:
    database.run("CREATE TABLE dbo.A (Id int PRIMARY KEY)")
    database.capture("dbo.A")
    database.run("INSERT INTO dbo.A VALUES (1), (2)")
    database.run(f"CREATE USER [orders] FROM EXTERNAL PROVIDER WITH OBJECT_ID = '{ME}'")
    database.run("GRANT SELECT ON SCHEMA::cdc TO [orders]")
    database.run("GRANT VIEW DEFINITION ON SCHEMA::dbo TO [orders]")
    return database


def config(source: SourceDatabase) -> dict[str, Any]:
    text = f"Server=127.0.0.1,{source.server.port};Database={source.name};TrustServerCertificate=yes"
    return {**source.config("A"), "db_connection_string": text, "credential": "cli"}


def test_every_connection_logs_in_with_a_new_token(source: SourceDatabase, az: AzureCli) -> None:
    az.log_in()
    source.server.fault(action="drop", statement="ORDER BY [__$start_lsn]", times=1)
    reading = read(config(source))
    assert reading.rows == [("Insert", {"Id": 1}), ("Insert", {"Id": 2})]
    assert "mssql.reconnected" in reading.told
    assert az.token not in json.dumps(reading.telemetry)
    assert az.calls == [f"account get-access-token --output json --resource {SQL}"] * 2


@pytest.mark.parametrize(
    ("principal_id", "lasts_s", "reason"), [("someone-else", 60, "token-identified"), (ME, -60, "Token is expired")]
)
def test_a_refused_token_says_why(
    source: SourceDatabase, az: AzureCli, principal_id: str, lasts_s: float, reason: str
) -> None:
    az.log_in(principal_id, lasts_s)
    with pytest.raises(AuthError, match=reason) as caught:
        read(config(source))
    assert caught.value.code == "mssql.login_failed"
    assert "FROM EXTERNAL PROVIDER" in caught.value.hint


def test_a_credential_that_gets_no_token_says_which_and_what_to_do(source: SourceDatabase, az: AzureCli) -> None:
    with pytest.raises(AuthError, match='credential "cli" got no token') as caught:
        read(config(source))
    assert caught.value.code == "mssql.sign_in_failed"
    assert "az login" in caught.value.hint
