"""A separate cloud and project for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.infra.driving import Stage
from tests.integration.key_ring import SECRETS_PROVIDER


def two_queues(folder: Path) -> Stage:
    queues = {"q1": {"size": 1, "tags": {"team": "a"}}, "q2": {"size": 2, "_after": "q1"}}
    return Stage(folder, secrets_provider=SECRETS_PROVIDER, queues=queues)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return two_queues(tmp_path)


@pytest.fixture(scope="session")
def _initialized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initialized")
    assert two_queues(folder)("init").ops == {"q1": "create", "q2": "create"}
    return folder


@pytest.fixture
def initialized(_initialized: Path, tmp_path: Path) -> None:
    """Put `stage` into the state after an `init`: with a copy, because each `init` starts the engine twice."""
    shutil.copytree(_initialized, tmp_path, dirs_exist_ok=True)
