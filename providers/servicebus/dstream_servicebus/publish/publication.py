"""One run: opens links and turns lines into sends. Imports azure, so `provider.py` imports it only at start.

`routing.py` maps events to messages; `publisher.py` and `worker.py` send them in order; `sender.py` is one link;
`retry.py` judges failures; `inspection.py` reads the entities' own settings.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus.management import ServiceBusAdministrationClient

from dstream.sdk import Batch, BatchLimits, Finding, Telemetry
from dstream.sdk.errors import ConfigError, DataError, DStreamError, SystemFault, UnreachableError
from dstream_servicebus.access import Access, access, publishes_with_key
from dstream_servicebus.config import Config, dead_letters, routing
from dstream_servicebus.connection import Connector
from dstream_servicebus.publish import sdk_batch
from dstream_servicebus.publish.batches import Cut, LinkLimits
from dstream_servicebus.publish.compression import compressed
from dstream_servicebus.publish.entity_checks import advice_on_younger, age_of, check_entity, remarks
from dstream_servicebus.publish.inspection import created_after, inspect
from dstream_servicebus.publish.lanes import LaneKey
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.packing import packed
from dstream_servicebus.publish.publisher import Publisher
from dstream_servicebus.publish.rejections import Redirected, Refusal, RejectedRows, Rejections
from dstream_servicebus.publish.routing import Router
from dstream_servicebus.publish.sdk_batch import FillBatch
from dstream_servicebus.publish.send_rate import SendRate
from dstream_servicebus.publish.sender import EntitySender
from dstream_servicebus.publish.trouble import Trouble
from dstream_servicebus.publish.watchdog import Watchdog
from dstream_servicebus.publish.worker import Delivery
from dstream_servicebus.retry import Schedule, judge, reason
from dstream_servicebus.settings.messages import REPEATS_IN_PACKS

OPEN_TOGETHER = 8
"""Maximum number of links opened concurrently. Opening one takes about half a second."""

_UNLIMITED = 1 << 40


class Publication:
    """`open`, then `write` from one thread; `close` in any case."""

    def __init__(
        self,
        config: Config,
        telemetry: Telemetry,
        stack: Mapping[str, Any] | None = None,
        resumes_from: datetime | None = None,
        rejected: RejectedRows | None = None,
    ) -> None:
        """`stack`: its outputs, used with `connection = "stack"`. `resumes_from`: when the checkpoint was stored.
        `rejected`: takes the rows that cannot be delivered, instead of what the settings say.

        Raises ConfigError for conflicting settings.
        """
        logging.getLogger("azure").setLevel(logging.CRITICAL)  # DStream itself reports each failure once
        self._dead_letters = dead_letters(config)
        self._config = config
        self._telemetry = telemetry
        self._resumes_from = resumes_from
        self._routing = routing(config)
        self._router = Router(self._routing)
        self._connector = Connector(_with_ca_file(access(config, stack)))
        self._rejected = rejected or Rejections(self._dead_letters, telemetry, lambda: datetime.now(UTC))
        self._dead_letter_queue = None if rejected else self._dead_letters.queue
        self._fill = self._choose_fill()
        self._publisher = Publisher(self._delivery(), config.concurrency)
        self._watchdog = Watchdog(self._stuck)

    @property
    def limits(self) -> BatchLimits:
        """The batches that the SDK passes to `write`; lanes build sends from whatever is waiting."""
        batch = self._config.batch
        return BatchLimits(
            max_lines=batch.max_messages, linger_s=batch.linger, max_pending=2 * self._config.concurrency
        )

    def open(self) -> None:
        """Open the known entities. Raises the first entity's error, in the order of the names."""
        self._rejected.check()
        for host in self._connector.plaintext_hosts:
            self._telemetry.warning("servicebus.plaintext", host=host, note="no TLS: allow_plaintext allows it")
        if (packing := self._config.packing) is not None:
            self._telemetry.info("servicebus.packing", rows_per_message=packing.rows_per_message, note=REPEATS_IN_PACKS)
        with ThreadPoolExecutor(OPEN_TOGETHER, thread_name_prefix="open") as pool:
            for sender in pool.map(self._open_one, self._routing.names.known()):
                self._publisher.adopt(sender)
        if self._dead_letter_queue is not None:
            self._connected(self._dead_letter_queue)[0].drop()
        self._publisher.start()

    def examine(self) -> Iterator[Finding]:
        """Open the known entities and check their settings, without sending anything."""
        names = self._routing.names
        known = list(names.known())
        if not known:
            text = f"each {names.kind} is opened when its first event arrives"
            yield Finding("ok", "entities", text, "To check them here and at the start, list `tables`.")
        with ThreadPoolExecutor(OPEN_TOGETHER, thread_name_prefix="open") as pool:
            for findings in pool.map(self._examined, known):
                yield from findings
        if self._dead_letters.keeps_rows:
            yield self._dead_letter_finding()

    def write(self, batch: Batch) -> Future[None]:
        lanes: dict[LaneKey, list[Message]] = {}
        route, context = self._router.route, batch.traceparent
        for line in batch.lines:
            try:
                key, message = route(line, traceparent=context)
            except DataError as error:
                redirected = self._unroutable(self._router.id_of(line), line, error)
                if redirected is None:
                    batch.rejected += 1
                    continue
                key, message = redirected
            messages = lanes.get(key)
            if messages is None:
                lanes[key] = [message]
            else:
                messages.append(message)
        if (packing := self._config.packing) is not None:
            lanes = {
                key: messages if key.is_dead_letter else packed(messages, packing) for key, messages in lanes.items()
            }
        return self._publisher.publish(batch, self._compressed(lanes))

    def write_again(self, rows: Sequence[tuple[str, bytes]]) -> Future[None]:
        """Send rows that were rejected, under these message ids. An empty id is replaced as for a new row."""
        lanes: dict[LaneKey, list[Message]] = {}
        for message_id, row in rows:
            try:
                key, message = self._router.route(row, message_id)
            except DataError as error:
                self._unroutable(message_id, row, error)
                continue
            lanes.setdefault(key, []).append(message)
        batch = Batch([row for _, row in rows], sum(len(row) for _, row in rows))
        return self._publisher.publish(batch, self._compressed(lanes))

    def close(self) -> None:
        self._publisher.close()
        self._watchdog.close()

    def _compressed(self, lanes: dict[LaneKey, list[Message]]) -> dict[LaneKey, list[Message]]:
        if self._config.compression is None:
            return lanes
        min_bytes = self._config.compression_threshold
        return {
            key: messages if key.is_dead_letter else [compressed(each, min_bytes) for each in messages]
            for key, messages in lanes.items()
        }

    def _unroutable(self, message_id: str, row: bytes, error: DataError) -> Redirected | None:
        return self._rejected.take(Refusal("unroutable", error), "", message_id, row, len(row))

    def _delivery(self) -> Delivery:
        config = self._config
        return Delivery(
            cut=Cut(config.batch.max_bytes or _UNLIMITED, config.batch.max_messages),
            schedule=Schedule(config.retry.first_delay, config.retry.max_delay, config.retry.server_busy_delay),
            kind=self._routing.names.kind,
            sender=self._new_sender,
            rejected=self._rejected,
            key_can_change=publishes_with_key(config),
            telemetry=self._telemetry,
            trouble=Trouble(self._telemetry, self._connector.host),
            rate=SendRate(config.retry.server_busy_delay, config.retry.max_delay),
        )

    def _new_sender(self, entity: str) -> EntitySender:
        return EntitySender(
            entity,
            "queue" if entity == self._dead_letter_queue else self._routing.names.kind,
            self._connector.client,
            self._fill,
            self._watchdog,
            self._config.retry.send_timeout,
        )

    def _choose_fill(self) -> FillBatch:
        fill, why_not_fast = sdk_batch.choose_fill()
        if why_not_fast:
            self._telemetry.warning("servicebus.slow_path", because=why_not_fast)
        return fill

    def _examined(self, entity: str) -> list[Finding]:
        subject = f"{self._routing.names.kind} {entity}"
        try:
            sender, limits = self._connected(entity)
        except DStreamError as error:
            return [Finding("failure", subject, error.message, error.hint)]
        sender.drop()
        size = f"messages of up to {limits.max_message_bytes:,} bytes, batches of up to {limits.max_batch_bytes:,}"
        return [Finding("ok", subject, f"accepts {size}"), *self._settings_of(entity, subject)]

    def _dead_letter_finding(self) -> Finding:
        """Whether rows that cannot be delivered can be kept."""
        queue, file = self._dead_letters.queue, self._dead_letters.file
        try:
            self._rejected.check()
            if queue is not None:
                self._connected(queue)[0].drop()
        except DStreamError as error:
            return Finding("failure", "dead letters", error.message, error.hint)
        return Finding("ok", "dead letters", f"kept in queue {queue}" if queue is not None else f"kept in {file}")

    def _settings_of(self, entity: str, subject: str) -> Iterator[Finding]:
        administration = self._connector.administration()
        if administration is None:
            yield Finding("ok", subject, "its settings are unknown", "To check them, set admin_connection_string.")
            return
        with administration:
            found = inspect(administration, entity, self._routing.names.kind)
            younger = self._younger(administration, entity)
        try:
            check_entity(found, self._routing, entity)
        except ConfigError as error:
            yield Finding("failure", subject, error.message, error.hint)
        for remark in remarks(found, self._routing, age_of(self._resumes_from, datetime.now(UTC))):
            text = f"{remark.topic.replace('_', ' ')} {remark.state}"
            if remark.message:
                yield Finding("warning", subject, f"{text}: {remark.message}", remark.fix)
            else:
                yield Finding("ok", subject, text)
        advice = advice_on_younger(found, dict(younger), entity)
        for name, created_at in younger:
            text = f"{name} was created at {_rfc_3339(created_at)}, after the checkpoint was stored: it lacks changes"
            yield Finding("warning", subject, text, f"{advice[0].upper()}{advice[1:]}.")

    def _open_one(self, entity: str) -> EntitySender:
        sender, limits = self._connected(entity)
        self._telemetry.info("servicebus.open", entity=entity, max_batch_bytes=limits.max_batch_bytes)
        self._inspect(entity)
        return sender

    def _connected(self, entity: str) -> tuple[EntitySender, LinkLimits]:
        sender = self._new_sender(entity)
        try:
            return sender, sender.open()
        except (AzureError, OSError) as error:
            sender.drop()
            if entity == self._dead_letter_queue and (stop := judge(error, entity, "queue").error):
                stop.config_path = "dead_letter.queue"
                stop.hint = "Create this queue for dead letters, and let the task's key or identity send to it."
                raise stop from error
            raise judge(error, entity, self._routing.names.kind).error or UnreachableError(
                "servicebus.unreachable",
                f"Service Bus is unreachable: {reason(error)}",
                hint=self._connector.hint,
                config_path="connection_string",
            ) from error

    def _inspect(self, entity: str) -> None:
        administration = self._connector.administration()
        if administration is None:
            self._telemetry.info(
                "servicebus.duplicate_detection", entity=entity, state="unknown, needs admin_connection_string"
            )
            return
        with administration:
            found = inspect(administration, entity, self._routing.names.kind)
            younger = self._younger(administration, entity)
        self._warn_of_younger(younger, advice_on_younger(found, dict(younger), entity))
        check_entity(found, self._routing, entity)
        for remark in remarks(found, self._routing, age_of(self._resumes_from, datetime.now(UTC))):
            event = f"servicebus.{remark.topic}"
            if remark.message:
                self._telemetry.warning(event, entity=entity, state=remark.state, note=remark.message, hint=remark.fix)
            elif not remark.state.startswith("on"):
                self._telemetry.info(event, entity=entity, state=remark.state)

    def _younger(self, administration: ServiceBusAdministrationClient, entity: str) -> Sequence[tuple[str, datetime]]:
        """The entity and its subscriptions that were created after the checkpoint was stored."""
        if self._resumes_from is None:
            return ()
        return created_after(administration, entity, self._routing.names.kind, self._resumes_from)

    def _warn_of_younger(self, younger: Sequence[tuple[str, datetime]], advice: str) -> None:
        for name, created_at in younger:
            assert self._resumes_from is not None
            self._telemetry.warning(
                "servicebus.younger_than_checkpoint",
                entity=name,
                created_at=_rfc_3339(created_at),
                checkpoint_stored_at=_rfc_3339(self._resumes_from),
                note="it was created after the checkpoint was stored, so it lacks changes before the checkpoint; "
                + advice,
            )

    def _stuck(self) -> None:
        self._publisher.fail(
            SystemFault("servicebus.stuck", "a send did not return, even after its connection was closed")
        )


def _rfc_3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with_ca_file(access: Access) -> Access:
    if access.ca_file is not None and not Path(access.ca_file).is_file():
        raise ConfigError("servicebus.no_ca_file", f"file not found: {access.ca_file}", config_path="ca_file")
    return access
