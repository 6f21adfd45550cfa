from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusClient
from azure.servicebus._pyamqp.client import AMQPClient

from tests.integration.sandbox_amqp.namespace_thread import KEY, KEY_NAME, NamespaceThread
from tests.integration.sandbox_amqp.wire_client import WireClient


@pytest.fixture(scope="package", autouse=True)
def _no_keep_alive() -> Iterator[None]:
    """Disable the SDK's keep-alive thread: each close waits for its sleep of a second. No test is idle that long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AMQPClient, "_keep_alive", lambda _client: None)
        yield


@pytest.fixture(scope="package")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamespaceThread]:
    """Shared: each test creates its own queues in it, and requests faults only for those."""
    namespace = NamespaceThread(tmp_path_factory.mktemp("namespace")).start()
    yield namespace
    namespace.stop()


@pytest.fixture
def client(namespace: NamespaceThread) -> Iterator[ServiceBusClient]:
    with namespace.client(retry_total=0) as client:
        yield client


@pytest.fixture
def wire(namespace: NamespaceThread) -> Iterator[WireClient]:
    with WireClient(namespace.amqp_port) as client:
        client.login(KEY_NAME, KEY)
        yield client
