"""Links on which clients send to an entity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dstream_sandbox.servicebus.amqp import performatives
from dstream_sandbox.servicebus.amqp.container import Received
from dstream_sandbox.servicebus.amqp.link import IncomingLink
from dstream_sandbox.servicebus.amqp.sections import BATCH_FORMAT, count_data
from dstream_sandbox.servicebus.amqp.values import Described, MalformedValue
from dstream_sandbox.servicebus.core import AmqpError, Message
from dstream_sandbox.servicebus.counters import Counters
from dstream_sandbox.servicebus.faults import Faults, Moment
from dstream_sandbox.servicebus.nodes.client import Client
from dstream_sandbox.servicebus.nodes.intake import parse_transfer
from dstream_sandbox.servicebus.nodes.interference import Interference
from dstream_sandbox.servicebus.nodes.requests import Spawn

BATCH_ENVELOPE = 64 * 1024
"""By how much a batch may exceed its limit: azure-servicebus fills batches without counting the envelope (its pull
request 42598), and the service accepts them."""

__all__ = ["EntitySender", "Sink"]

Store = Callable[[str, Sequence[Message]], Awaitable[None]]


class EntitySender:
    """Stores each delivery completely or not at all, and responds when it is durable. The deliveries of one link reach
    the broker in order; their commits overlap."""

    def __init__(
        self,
        link: IncomingLink,
        path: str,
        client: Client,
        store: Store,
        spawn: Spawn,
        faults: Faults,
        counters: Counters,
        max_batch_size: int,
        clock: Callable[[], float],
    ) -> None:
        self._link = link
        self._path = path
        self._client = client
        self._store = store
        self._spawn = spawn
        self._faults = faults
        self._interference = Interference(faults, link, path, "send")
        self._counters = counters
        self._max_batch_size = max_batch_size
        self._clock = clock

    def on_delivery(self, delivery: Received) -> None:
        try:
            self._client.require(self._path, "Send")  # tokens can expire while the link is open
            messages = parse_transfer(delivery.message_format, delivery.payload)
            largest = self._max_batch_size + BATCH_ENVELOPE
            if delivery.message_format == BATCH_FORMAT and len(delivery.payload) > largest:
                raise AmqpError(
                    "amqp:link:message-size-exceeded",
                    f"The batch of {len(delivery.payload)} bytes is larger than {self._max_batch_size} bytes.",
                )
            if self._interference and self._interfered(delivery, messages):
                return
        except AmqpError as exc:
            self._reject(delivery, exc)
            return
        self._spawn(self._keep(delivery, self._store(self._path, messages), messages))

    def on_closed(self) -> None:
        pass  # messages that were passed to the broker are still stored

    def disturb_idle(self) -> None:
        """Apply the faults that do not wait for a transfer."""
        if not self._link.closed:
            self._interference.disturb_idle()

    async def _keep(self, delivery: Received, stored: Awaitable[None], messages: Sequence[Message]) -> None:
        try:
            await stored
            self._counters.transfers += 1
            self._counters.messages += len(messages)
            self._counters.bytes += len(delivery.payload)
            if self._interference and not await self._interference.lets_answer():
                return
            if self._interference and self._refused("after_store", delivery, messages):
                return
        except AmqpError as exc:
            self._reject(delivery, exc)
            return
        self._answer(delivery, performatives.ACCEPTED)

    def _interfered(self, delivery: Received, messages: Sequence[Message]) -> bool:
        """Apply faults. Return whether the delivery needs no further handling. Raises an injected AmqpError."""
        if not self._interference.lets_store():
            return True
        if self._refused("before_store", delivery, messages):
            return True
        throttled = self._faults.throttled(self._path, len(messages), self._clock())
        if throttled is not None:
            raise throttled
        return False

    def _refused(self, at: Moment, delivery: Received, messages: Sequence[Message]) -> bool:
        """Return whether the delivery was released. Raises an injected AmqpError."""
        if self._interference.strike("release", at):
            self._answer(delivery, performatives.RELEASED)
            return True
        fault = self._interference.strike("reject", at, messages=messages)
        if fault is not None:
            raise fault.error()
        return False

    def _reject(self, delivery: Received, error: AmqpError) -> None:
        self._counters.rejected += 1
        self._answer(delivery, performatives.rejected(error))

    def _answer(self, delivery: Received, state: Described) -> None:
        if not delivery.settled:
            self._link.settle(delivery.delivery_id, state)


class Sink:
    """Counts messages without storing them, so that a benchmark measures the publisher."""

    def __init__(self, link: IncomingLink, counters: Counters) -> None:
        self._link = link
        self._counters = counters

    def on_delivery(self, delivery: Received) -> None:
        counters = self._counters
        try:
            counters.messages += count_data(delivery.payload) if delivery.message_format == BATCH_FORMAT else 1
        except MalformedValue as exc:
            counters.rejected += 1
            self._link.settle(delivery.delivery_id, performatives.rejected(AmqpError("amqp:decode-error", str(exc))))
            return
        counters.transfers += 1
        counters.bytes += len(delivery.payload)
        if not delivery.settled:
            self._link.settle(delivery.delivery_id, performatives.ACCEPTED)

    def on_closed(self) -> None:
        pass
