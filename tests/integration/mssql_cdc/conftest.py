from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.mssql_cdc.source_server import SourceDatabase, SourceServer, make_database

_names = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    """One SQL Server for all tests of the worker; each test has its own databases."""
    started = SourceServer(tmp_path_factory.mktemp("sqlserver")).start()
    yield started
    started.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[SourceServer]:
    """A separate SQL Server, for tests that kill it."""
    started = SourceServer(tmp_path).start()
    yield started
    started.stop()


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[SourceDatabase]:
    """A database of a server that behaves like Azure SQL Database."""
    started = SourceServer(tmp_path, "--platform", "azure-sql-database").start()
    made = make_database(started, "Source")
    yield made
    made.close()
    started.stop()


@pytest.fixture
def make(server: SourceServer) -> Iterator[Callable[..., SourceDatabase]]:
    made: list[SourceDatabase] = []

    def make_one(*, cdc: bool = True) -> SourceDatabase:
        made.append(make_database(server, f"Source{next(_names)}", cdc=cdc))
        return made[-1]

    yield make_one
    for database in made:
        database.close()


@pytest.fixture
def database(make: Callable[..., SourceDatabase]) -> SourceDatabase:
    return make()
