"""An independent consumer of a queue, built on azure-servicebus alone. Records the messages' order and delay."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dstream_sandbox import clients
from dstream_sandbox.folder import Settings

Position = tuple[str, int, str, int]
"""LSN, command id, sequence value and operation: the position of a change in the log."""

Arrival = tuple[int, Position, float]
"""The sequence number of the message (the order of publishing), the position of its change, and the milliseconds from
commit to arrival."""


@dataclass(slots=True)
class Consumer:
    """Receives messages on its own thread until `stop`."""

    settings: Settings
    queue: str
    arrived: list[Arrival] = field(default_factory=list)
    last_at: float = 0.0
    """When the last message arrived, on the monotonic clock."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _came: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._receive, name="consumer", daemon=True)
        self._thread.start()

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Wait until `count` messages have arrived, or none arrives for `timeout_s`."""
        with self._came:
            while len(self.arrived) < count and self._came.wait(timeout_s):
                pass

    def stop(self) -> None:
        """Stop once no more messages arrive, so that surplus messages are counted, too."""
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _receive(self) -> None:
        from azure.servicebus import ServiceBusReceiveMode

        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with clients.servicebus(self.settings) as client:
            receiver = client.get_queue_receiver(self.queue, receive_mode=mode, prefetch_count=500)
            with receiver:
                while True:
                    batch = receiver.receive_messages(max_message_count=500, max_wait_time=1)
                    if not batch and self._ended.is_set():
                        return
                    self._take(batch)

    def _take(self, batch: list[Any]) -> None:
        now = time.time()
        for message in batch:
            metadata = json.loads(b"".join(message.body))["metadata"]
            position = metadata["LSN"], metadata["CommandId"] or 0, metadata["Seq"], metadata["OperationID"]
            lag_ms = (now - _seconds(metadata["CommitTime"])) * 1000
            self.arrived.append((message.sequence_number, position, lag_ms))
        if batch:
            with self._came:
                self.last_at = time.monotonic()
                self._came.notify_all()


def _seconds(commit_time: str) -> float:
    """Convert to Unix time. CDC records the server's local time, and the server runs on this machine."""
    return datetime.fromisoformat(commit_time).timestamp()
