from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import Sandbox


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all modules: each test uses its own names, and leaves it running without faults."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()
