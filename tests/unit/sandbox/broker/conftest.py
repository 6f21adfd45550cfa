"""Broker tests are coroutines. Each has a broker in its own folder and a clock that it can advance."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from tests.unit.sandbox.broker.world import World


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
