"""Distributes messages over workers and reports when they are accepted. `worker.py` describes the threads."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import Future

from dstream.sdk import Batch
from dstream.sdk.errors import DStreamError
from dstream_servicebus.publish.lanes import LaneKey, Ticket
from dstream_servicebus.publish.message import Message
from dstream_servicebus.publish.sender import EntitySender
from dstream_servicebus.publish.worker import Delivery, Worker

CLOSE_S = 5.0


class Publisher:
    """Call `adopt` for open senders, then `start`, then `publish` from one thread."""

    def __init__(self, delivery: Delivery, concurrency: int) -> None:
        self._workers = [Worker(number, delivery, self.fail) for number in range(concurrency)]
        self._homes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._failure: DStreamError | None = None

    def adopt(self, sender: EntitySender) -> None:
        self._workers[self._home(sender.entity)].adopt(sender)

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def publish(self, batch: Batch, lanes: Mapping[LaneKey, list[Message]]) -> Future[None]:
        """Return a future that completes when all messages are accepted. Raises the error that ended publishing."""
        if self._failure is not None:
            raise self._failure
        ticket = Ticket(batch, sum(map(len, lanes.values())))
        for key, messages in lanes.items():
            self._worker(key).add(key, ticket, messages)
        if self._failure is not None:
            ticket.fail(self._failure)  # publishing may have failed before this ticket was registered
        return ticket.future

    def fail(self, error: DStreamError) -> None:
        """Stop: send nothing more and fail every open ticket with the first error."""
        with self._lock:
            if self._failure is None:
                self._failure = error
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            for ticket in worker.tickets():
                ticket.fail(self._failure)

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(CLOSE_S)

    def _worker(self, key: LaneKey) -> Worker:
        if key.session_id is None and key.partition_key is None:
            return self._workers[self._home(key.entity)]
        spread = f"{key.entity}\0{key.session_id}\0{key.partition_key}"
        return self._workers[zlib.crc32(spread.encode()) % len(self._workers)]

    def _home(self, entity: str) -> int:
        return self._homes.setdefault(entity, len(self._homes) % len(self._workers))
