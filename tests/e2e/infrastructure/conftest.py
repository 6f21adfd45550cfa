"""A project in its own folder, using the module's sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Make, Provisioned
from tests.running import DStream, Sandbox


@pytest.fixture
def provisioned(sandbox: Sandbox, tmp_path: Path) -> Make:
    """`provisioned(hcl)` returns a project with that dstream.hcl."""

    def make(hcl: str) -> Provisioned:
        project = Provisioned(DStream(tmp_path, sandbox.env), sandbox)
        project.write(hcl)
        return project

    return make
