"""Fixtures for the engine's programs against the sandbox's administration endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_sandbox import clients

from tests.integration.engine import Stack
from tests.integration.servicebus_entities.serving import serving
from tests.running import Sandbox


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all modules: each test uses its own names."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox")).start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="package")
def administration(sandbox: Sandbox) -> Iterator[ServiceBusAdministrationClient]:
    """The client that changes entities outside the engine."""
    with clients.administration(sandbox.folder, sandbox.settings) as client:
        yield client


@pytest.fixture(scope="package")
def port(administration: ServiceBusAdministrationClient) -> Iterator[int]:
    """The port of the provider under test."""
    with serving(lambda: administration) as port:
        yield port


@pytest.fixture
def stack(tmp_path: Path, port: int) -> Stack:
    return Stack(tmp_path, {"dstream": port})


@pytest.fixture(autouse=True)
def _event_loop() -> Iterator[None]:
    """Set the thread's event loop, which Pulumi programs need, and close it afterwards."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
