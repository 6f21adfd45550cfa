"""Reports accepted messages once per second: with one message per send, one line each would cost too much."""

from __future__ import annotations

import time
from collections import Counter

from dstream.sdk import Telemetry

INTERVAL_S = 1.0


class Tally:
    """Counts for one thread. A final `report` sends the rest."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._sent: Counter[str] = Counter()
        self._reported_at = time.monotonic()

    def add(self, entity: str, messages: int) -> None:
        self._sent[entity] += messages
        if time.monotonic() - self._reported_at >= INTERVAL_S:
            self.report()

    def report(self) -> None:
        for entity, messages in self._sent.items():
            self._telemetry.count("messages_sent", messages, entity=entity)
        self._sent.clear()
        self._reported_at = time.monotonic()
