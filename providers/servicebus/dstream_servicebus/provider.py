"""The output provider: its life, and which part does what.

`config.py` settings; `routing.py` event -> message; `publisher.py`, `worker.py` sending in order; `sender.py` one link;
`retry.py` what a failure means. Nothing of azure is imported before `start`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import msgspec

from dstream.errors import DataError, SystemFault, UnreachableError
from dstream.sdk import Batch, BatchLimits, OutputProvider
from dstream_servicebus.batches import Cut
from dstream_servicebus.config import Config, access, check_oversize, routing
from dstream_servicebus.lanes import LaneKey
from dstream_servicebus.message import Message

if TYPE_CHECKING:
    from dstream_servicebus.publisher import Publisher
    from dstream_servicebus.sdk_batch import FillBatch
    from dstream_servicebus.sender import EntitySender
    from dstream_servicebus.watchdog import Watchdog
    from dstream_servicebus.worker import Delivery

OPEN_TOGETHER = 8
"""Opening a link takes about half a second; a task with many tables has as many links."""

_UNLIMITED = 1 << 40


class ServiceBus(OutputProvider[Config]):
    """Publishes to Azure Service Bus queues and topics, in order and with stable message ids."""

    name: ClassVar[str] = "servicebus"
    version: ClassVar[str] = "0.1.0"

    _publisher: Publisher | None = None
    _watchdog: Watchdog | None = None

    def start(self) -> None:
        """Open what is known to be published to. Raises before any event moves when that can't be done."""
        from dstream_servicebus.connection import Connector
        from dstream_servicebus.dead_letter import DeadLetterFile
        from dstream_servicebus.publisher import Publisher
        from dstream_servicebus.routing import Router
        from dstream_servicebus.watchdog import Watchdog

        config = self.config
        logging.getLogger("azure").setLevel(logging.CRITICAL)  # each failure is reported once, by us
        check_oversize(config)
        self._routing = routing(config)
        self._router = Router(self._routing)
        self._connector = Connector(access(config))
        self._dead_letters = DeadLetterFile(config.dead_letter.file) if config.dead_letter else None
        self._watchdog = Watchdog(self._stuck)
        self._fill = self._choose_fill()
        self._publisher = Publisher(self._delivery(), config.concurrency)
        for sender in self._open(self._routing.names.known()):
            self._publisher.adopt(sender)
        self._publisher.start()
        self.limits = BatchLimits(
            max_lines=config.batch.max_messages,
            linger_s=config.batch.linger,
            max_pending=2 * config.concurrency,
        )

    def write(self, batch: Batch) -> Future[None]:
        assert self._publisher is not None  # started
        lanes: dict[LaneKey, list[Message]] = {}
        route = self._router.route
        for line in batch.lines:
            key, message = route(line)
            messages = lanes.get(key)
            if messages is None:
                lanes[key] = [message]
            else:
                messages.append(message)
        return self._publisher.publish(batch, lanes)

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
        if self._watchdog is not None:
            self._watchdog.close()

    def _delivery(self) -> Delivery:
        from dstream_servicebus.retry import Schedule
        from dstream_servicebus.worker import Delivery

        config = self.config
        return Delivery(
            cut=Cut(config.batch.max_bytes or _UNLIMITED, config.batch.max_messages),
            schedule=Schedule(config.retry.first_delay, config.retry.max_delay, config.retry.server_busy_delay),
            kind=self._routing.names.kind,
            sender=self._new_sender,
            oversize=self._oversize,
            telemetry=self.telemetry,
        )

    def _new_sender(self, entity: str) -> EntitySender:
        from dstream_servicebus.sender import EntitySender

        assert self._watchdog is not None  # made before any sender
        return EntitySender(
            entity,
            self._routing.names.kind,
            self._connector.client,
            self._fill,
            self._watchdog,
            self.config.retry.send_timeout,
        )

    def _choose_fill(self) -> FillBatch:
        from dstream_servicebus.sdk_batch import choose_fill

        fill, why_not_fast = choose_fill()
        if why_not_fast:
            self.telemetry.warning("servicebus.slow_path", because=why_not_fast)
        return fill

    def _open(self, entities: Sequence[str]) -> list[EntitySender]:
        """Senders with open links. Raises the first entity's error, in the order of the names."""
        with ThreadPoolExecutor(OPEN_TOGETHER, thread_name_prefix="open") as pool:
            return list(pool.map(self._open_one, entities))

    def _open_one(self, entity: str) -> EntitySender:
        from azure.core.exceptions import AzureError

        from dstream_servicebus.retry import judge, reason

        sender = self._new_sender(entity)
        try:
            limits = sender.open()
        except (AzureError, OSError) as error:
            sender.drop()
            raise judge(error, entity, self._routing.names.kind).error or UnreachableError(
                "servicebus.unreachable",
                f"Service Bus can't be reached: {reason(error)}",
                hint="Check the endpoint in the connection string, and that port 5671 is open from here.",
                config_path="connection_string",
            ) from error
        self.telemetry.info("servicebus.open", entity=entity, max_batch_bytes=limits.max_batch_bytes)
        self._inspect(entity)
        return sender

    def _inspect(self, entity: str) -> None:
        from dstream_servicebus.inspection import inspect
        from dstream_servicebus.retry import session_required

        administration = self._connector.administration()
        if administration is None:
            self.telemetry.info("servicebus.duplicate_detection", entity=entity, state="unknown, no administration")
            return
        with administration:
            found = inspect(administration, entity, self._routing.names.kind)
        if found.requires_session and self._routing.session == "none":
            raise session_required(entity, self._routing.names.kind)
        if found.duplicate_detection == "off":
            self.telemetry.warning(
                "servicebus.duplicate_detection",
                entity=entity,
                state="off",
                message="events that are sent again after a crash will be visible twice, with the same message id",
            )
        elif found.duplicate_detection == "unknown":
            self.telemetry.info(
                "servicebus.duplicate_detection", entity=entity, state=f"unknown, {found.unknown_because}"
            )

    def _oversize(self, entity: str, message: Message, limit: int | None) -> None:
        from dstream_servicebus.dead_letter import Rejected

        if self._dead_letters is None or self.config.on_oversize == "fail":
            raise DataError(
                "servicebus.oversize",
                f"event {message.message_id} makes a message of {message.size:,} bytes; "
                + (f'"{entity}" takes at most {limit:,}' if limit else f'"{entity}" refuses it as too large'),
                hint='Leave large columns out at the input, or keep such events with on_oversize = "dead_letter".',
                config_path="on_oversize",
            )
        self._dead_letters.add(
            Rejected("oversize", entity, message.message_id, message.size, limit, msgspec.Raw(message.body))
        )
        self.telemetry.warning(
            "servicebus.rejected", entity=entity, message_id=message.message_id, size=message.size, limit=limit
        )

    def _stuck(self) -> None:
        assert self._publisher is not None
        self._publisher.fail(
            SystemFault("servicebus.stuck", "a send did not end, not even after its connection was closed")
        )
