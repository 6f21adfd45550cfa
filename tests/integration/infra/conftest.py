"""A separate cloud and project for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.infra.driving import Stage
from tests.integration.key_ring import SECRETS_PROVIDER


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    queues = {"q1": {"size": 1, "tags": {"team": "a"}}, "q2": {"size": 2, "_after": "q1"}}
    return Stage(tmp_path, secrets_provider=SECRETS_PROVIDER, queues=queues)
