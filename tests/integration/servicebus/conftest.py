from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.servicebus.broker import Broker

_numbers = itertools.count()


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that all tests share. None requests faults on it."""
    broker = Broker(tmp_path_factory.mktemp("calm")).start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def _stormy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("stormy")).start()
    yield broker
    broker.stop()


@pytest.fixture
def stormy(_stormy: Broker) -> Iterator[Broker]:
    """A broker for faults; they are cleared after each test."""
    yield _stormy
    _stormy.clear_faults()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """A separate broker, for tests that kill it."""
    broker = Broker(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Returns entity names that no other test uses."""
    return lambda: f"queue-{next(_numbers)}"
