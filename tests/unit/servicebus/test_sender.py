"""One link, with a client in place of azure-servicebus'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
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
