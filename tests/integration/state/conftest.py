"""The backends that the tests of the state stores run on: each with real servers, shared by a module."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from dstream.state import StateLocation


@pytest.fixture(params=["file"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> StateLocation:
    """An empty location on each backend."""
    stack = f"s{uuid.uuid4().hex[:8]}"
    return StateLocation(stack, tmp_path / "state", history=3)
