"""A project in its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.infrastructure.cases import Make, Provisioned, clear_faults
from tests.integration.key_ring import SECRETS_PROVIDER, key_ring
from tests.running import DStream, Sandbox


@pytest.fixture
def provisioned(sandbox: Sandbox, tmp_path: Path) -> Iterator[Make]:
    """`provisioned(hcl)` returns a project with that dstream.hcl."""
    env = {**sandbox.env, "DSTREAM_SECRETS_PROVIDER": SECRETS_PROVIDER, **key_ring()}

    def make(hcl: str) -> Provisioned:
        project = Provisioned(DStream(tmp_path, env), sandbox)
        project.write(hcl)
        return project

    yield make
    clear_faults(sandbox)
