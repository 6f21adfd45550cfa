"""A state backend on another machine is used only over verified TLS, unless the stack allows otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dstream.errors import ConfigError
from dstream.state import SecondLock, StateLocation, open_store
from dstream.state._mssql import MssqlDatabase
from dstream.state._postgres import PostgresDatabase

UNPROTECTED = [
    ("azblob", "http://acct.blob.core.windows.net/dstream", "Use https."),
    ("postgres", "postgresql://u:hunter2@db/d", "sslmode=verify-full"),
    ("postgres", "postgresql://u:hunter2@127.0.0.1,db/d?sslmode=require", "sslmode=verify-full"),
    ("postgres", "host=localhost hostaddr=10.0.0.7 password=hunter2", "sslmode=verify-full"),
    ("postgres", "service=state", "sslmode=verify-full"),
    ("mssql", "Server=tcp:db,1433;PWD=hunter2;Encrypt=no", "Remove it"),
    ("mssql", "Server=db;PWD=hunter2;Encrypt={Optional}", "Remove it"),
    ("mssql", "Server=localhost.example.com;PWD=hunter2;TrustServerCertificate=YES", "Remove it"),
    ("mssql", "DSN=state;PWD=hunter2;TrustServerCertificate=yes", "Remove it"),
]
PROTECTED = [
    ("azblob", "https://acct.blob.core.windows.net/dstream"),
    ("azblob", "http://127.0.0.1:10000/devstoreaccount1/dstream"),
    ("postgres", "postgresql://u@db/d?sslmode=verify-full&sslrootcert=system"),
    ("postgres", "postgresql://u@db/d?sslmode=verify-ca"),
    ("postgres", "postgresql://u@127.0.0.1,[::1]/d"),
    ("postgres", "host=/var/run/postgresql dbname=d"),
    ("postgres", "dbname=d"),
    ("mssql", "Server=db;PWD=p"),
    ("mssql", "Server=db;PWD=p;Encrypt=strict;TrustServerCertificate=yes"),
    ("mssql", "Server=tcp:127.0.0.1,1433;PWD=p;Encrypt=no"),
]


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSSLMODE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_STORAGE_KEY", "c2VjcmV0")


def opened(backend: str, url: str, *, allow_plaintext: bool) -> None:
    """Open the backend; this sends nothing."""
    if backend == "postgres":
        PostgresDatabase(url, allow_plaintext=allow_plaintext)
    elif backend == "mssql":
        MssqlDatabase(url, allow_plaintext=allow_plaintext)
    else:
        location = StateLocation("dev", Path("unused"), "azblob", url=url, allow_plaintext=allow_plaintext)
        open_store(location, "orders").close()


@pytest.mark.parametrize(("backend", "url", "fix"), UNPROTECTED)
def test_an_unprotected_backend_is_refused_unless_it_is_allowed(backend: str, url: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(backend, url, allow_plaintext=False)
    assert caught.value.code == "state.plaintext"
    assert fix in caught.value.hint
    assert "allow_plaintext = true" in caught.value.hint
    assert "hunter2" not in f"{caught.value}{caught.value.hint}"
    opened(backend, url, allow_plaintext=True)


@pytest.mark.parametrize(("backend", "url"), PROTECTED)
def test_a_protected_or_local_backend_is_used(backend: str, url: str) -> None:
    opened(backend, url, allow_plaintext=False)


def test_the_environment_of_libpq_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")
    with pytest.raises(ConfigError, match="sslmode is prefer"):
        opened("postgres", "dbname=d", allow_plaintext=False)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    opened("postgres", "dbname=d", allow_plaintext=False)


def test_the_lock_of_the_original_is_held_to_the_same(tmp_path: Path) -> None:
    account = "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=aHVudGVyMg==;EndpointSuffix=core.windows.net"
    location = StateLocation("dev", tmp_path, second_lock=SecondLock(account, "locks"))
    with pytest.raises(ConfigError) as caught:
        open_store(location, "orders")
    assert caught.value.code == "state.plaintext"
    open_store(replace(location, allow_plaintext=True), "orders").close()
