"""A broker with its own folder and clock, and messages as a client would encode them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.sections import Section
from dstream_sandbox.servicebus.amqp.values import Symbol, Timestamp, UInt
from dstream_sandbox.servicebus.broker import LocalBroker, open_broker
from dstream_sandbox.servicebus.broker.limits import Profile
from dstream_sandbox.servicebus.core import Delivery, Message
from dstream_sandbox.servicebus.nodes.intake import parse_message

NOON = 1_800_000_000.0


class World:
    """A folder and a clock that outlive each broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOON

    @asynccontextmanager
    async def broker(self, profile: Profile = "standard") -> AsyncIterator[LocalBroker]:
        broker = open_broker(self.folder, profile=profile, clock=lambda: self.now)
        try:
            yield broker
        finally:
            await broker.close()


def message(
    id_: str | None = "m",
    *,
    body: bytes = b"body",
    session: str | None = None,
    label: str | None = None,
    properties: Mapping[str, object] | None = None,
    ttl_s: float | None = None,
    scheduled_at: float | None = None,
) -> Message:
    encoded = b""
    if ttl_s is not None:
        encoded += encode_composite(Section.HEADER, [None, None, UInt(int(ttl_s * 1000))])
    if scheduled_at is not None:
        annotations = {Symbol("x-opt-scheduled-enqueue-time"): Timestamp(int(scheduled_at * 1000))}
        encoded += b"\x00\x53\x72" + encode(annotations)
    fields = [id_, None, None, label, None, None, None, None, None, None, session]
    encoded += encode_composite(Section.PROPERTIES, fields)
    if properties:
        encoded += b"\x00\x53\x74" + encode(dict(properties))
    return parse_message(encoded + b"\x00\x53\x75" + encode(body))


def ids(deliveries: list[Delivery]) -> list[str | None]:
    return [d.message.message_id for d in deliveries]


async def drain(broker: LocalBroker, path: str, session: str | None = None) -> list[Delivery]:
    """Receive and complete all messages that are available now."""
    receiver = await broker.receiver(path, "peek_lock", session)
    taken = receiver.take(10_000)
    await asyncio.gather(*(broker.settle(path, lock_of(d), "complete") for d in taken))
    receiver.close()
    return taken


def lock_of(delivery: Delivery) -> bytes:
    assert delivery.lock_token is not None
    return delivery.lock_token


async def until_called(register: Callable[[Callable[[], None]], None]) -> None:
    """Wait until the registered callback is called."""
    called = asyncio.Event()
    register(called.set)
    await asyncio.wait_for(called.wait(), 60)
