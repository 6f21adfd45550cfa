"""A project in its own folder, using a sandbox that all tests here share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Make, Provisioned, clear_faults
from tests.running import DStream, Sandbox


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all modules: each case uses its own names."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def provisioned(sandbox: Sandbox, tmp_path: Path) -> Iterator[Make]:
    """`provisioned(hcl)` returns a project with that dstream.hcl."""

    def make(hcl: str) -> Provisioned:
        project = Provisioned(DStream(tmp_path, sandbox.env), sandbox)
        project.write(hcl)
        return project

    yield make
    clear_faults(sandbox)
