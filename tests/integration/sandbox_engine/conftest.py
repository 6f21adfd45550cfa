from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dstream_sandbox.sqlserver.engine import open_engine
from dstream_sandbox.sqlserver.session import Engine

from tests.integration.sandbox_engine.client import Client, connect

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One server per module; each test has its own database."""
    made = open_engine(Path(tmp_path_factory.mktemp("server")), user="sa", password="secret")
    yield made
    made.close()


@pytest.fixture
def database(engine: Engine) -> str:
    name = f"db{next(_numbers)}"
    master = connect(engine, "master")
    master.run(f"CREATE DATABASE {name}")
    master.run(f"ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON")
    master.close()
    return name


@pytest.fixture
def open_client(engine: Engine, database: str) -> Iterator[Callable[[], Client]]:
    clients: list[Client] = []

    def make() -> Client:
        clients.append(connect(engine, database))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(open_client: Callable[[], Client]) -> Client:
    return open_client()


@pytest.fixture
def tracked(client: Client) -> Client:
    """A client of a database with CDC enabled."""
    client.run("EXEC sys.sp_cdc_enable_db")
    return client
