"""One link, with a client in place of azure-servicebus'."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.servicebus import ServiceBusClient
from azure.servicebus._common.utils import create_authentication
from azure.servicebus._pyamqp._connection import Connection
from azure.servicebus._pyamqp.constants import EMPTY_FRAME
from azure.servicebus.exceptions import ServiceBusError
from dstream_servicebus import connection
from dstream_servicebus.access import Access
from dstream_servicebus.connection import Connector
from dstream_servicebus.publish import sender as sender_module
from dstream_servicebus.publish.batches import LinkLimits
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.sender import EntitySender
from dstream_servicebus.publish.watchdog import Watchdog

from tests.unit.servicebus.messages import message

MB = 1_000_000


class Client:
    """Records the timeouts of sends."""

    max_size_in_bytes = 100 * MB

    def __init__(self) -> None:
        self.timeouts: list[float] = []

    def get_queue_sender(self, entity: str, **options: Any) -> Client:
        self.options = options
        return self

    def create_message_batch(self, size: int | None = None) -> Client:
        return self

    def send_messages(self, sent: Any, timeout: float) -> None:
        self.timeouts.append(timeout)

    def close(self) -> None:
        pass


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog(lambda: None)
    yield watchdog
    watchdog.close()


def sized(size: int) -> Message:
    made = message("1")
    return Message(made.encoder, made.message_id, made.body, size, made.body)


def test_a_large_send_has_more_time(watchdog: Watchdog) -> None:
    client: Any = Client()
    sender = EntitySender("orders", "queue", lambda: client, lambda batch, messages: 2, watchdog, 30.0)
    sender.open()

    sender.send([sized(MB), sized(MB), sized(MB)], 4 * MB)  # the batch takes the first two
    sender.send_single(sized(100 * MB))

    assert client.timeouts == [38.0, 430.0]


def test_a_batch_has_at_most_a_megabyte_whatever_the_link_announces(watchdog: Watchdog) -> None:
    client: Any = Client()
    sender = EntitySender("orders", "queue", lambda: client, lambda batch, messages: 2, watchdog, 30.0)

    assert sender.open() == LinkLimits(1024 * 1024, 100 * MB)


@pytest.mark.parametrize(
    ("options", "why"),
    [("UseDevelopmentEmulator=true;", "no answer within 0.2 s"), ("", "handshake operation timed out")],
    ids=["plain", "TLS"],
)
def test_a_peer_that_says_nothing_does_not_block_the_sender(
    options: str, why: str, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.2)
    monkeypatch.setattr(sender_module, "GRACE_S", 0.1 if options else 5.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"sb://127.0.0.1:{silent.getsockname()[1]}"
        connector = Connector(Access(f"Endpoint={endpoint};SharedAccessKeyName=n;SharedAccessKey=a2V5;{options}", None))
        sender = EntitySender("orders", "queue", connector.client, lambda batch, messages: 0, watchdog, 0.1)
        with pytest.raises(ServiceBusError, match=why):
            sender.open()


class Transport:
    """Records what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def test_a_connection_that_has_sent_nothing_for_long_is_kept_alive(watchdog: Watchdog) -> None:
    opened = Connection("amqp://localhost:1")
    opened._transport = transport = Transport()
    opened._remote_idle_timeout, opened._remote_idle_timeout_send_frame = 240, 120.0
    client: Any = Client()
    client._handler = SimpleNamespace(_connection=opened)
    sender = EntitySender("orders", "queue", lambda: client, lambda batch, messages: 1, watchdog, 30.0)
    sender.open()

    opened._last_frame_sent_time = time.time() - 60
    sender.keep_alive()
    assert transport.written == []
    opened._last_frame_sent_time = time.time() - 121
    sender.keep_alive()
    assert transport.written == [EMPTY_FRAME]


def test_the_sdk_starts_no_thread_that_reads_from_the_connection(watchdog: Watchdog) -> None:
    client: Any = Client()
    EntitySender("orders", "queue", lambda: client, lambda batch, messages: 1, watchdog, 30.0).open()

    made = ServiceBusClient("sb-orders", AzureNamedKeyCredential("n", "a2V5")).get_queue_sender("q", **client.options)
    made._create_handler(create_authentication(made))

    assert made._handler._keep_alive_interval == 0
