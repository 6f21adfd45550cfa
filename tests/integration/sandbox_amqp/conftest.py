from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient

from tests.integration.sandbox_amqp.namespace_thread import NamespaceThread


@pytest.fixture(scope="package")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceThread]:
    """Shared: each test makes queues of its own in it, and asks for faults only at those."""
    namespace = NamespaceThread(tmp_path_factory.mktemp("namespace")).start()
    yield namespace
    namespace.stop()


@pytest.fixture
def client(namespace: NamespaceThread) -> Iterator[ServiceBusClient]:
    # keep_alive=0 spares each sender a thread that sleeps for a second when it is closed.
    with namespace.client(retry_total=0, keep_alive=0) as client:
        yield client
