from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.engine import Stack
from tests.integration.sandbox_azure.azure_process import AzureProcess
from tests.integration.sandbox_azure.calls import Calls


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureProcess]:
    """One process for all tests of a worker, which use different resource names."""
    process = AzureProcess(tmp_path_factory.mktemp("azure")).start()
    yield process
    process.end()


@pytest.fixture
def stack(azure: AzureProcess, tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", {"azure-native": azure.ready["azure_port"]})


@pytest.fixture
def own_azure(tmp_path: Path) -> Iterator[AzureProcess]:
    """A separate process, for a test that kills it."""
    folder = tmp_path / "own"
    folder.mkdir()
    process = AzureProcess(folder).start()
    yield process
    process.end()


@pytest.fixture
def stack_of(tmp_path: Path) -> Callable[[AzureProcess], Stack]:
    return lambda process: Stack(tmp_path / "other-stack", {"azure-native": process.ready["azure_port"]})


@pytest.fixture
def calls(azure: AzureProcess) -> Iterator[Calls]:
    calls = Calls(azure.ready["azure_port"])
    yield calls
    calls.close()
