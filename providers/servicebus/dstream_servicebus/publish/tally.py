"""Reports what was sent once per second: with one message per send, some lines each would cost too much."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from dstream.sdk import Telemetry

INTERVAL_S = 1.0


class Tally:
    """Counts for one thread. A final `report` sends the rest. docs/operations/metrics.md lists the counters."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.monotonic) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._counts: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._reported_at = clock()

    def accepted(self, entity: str, messages: int, size: int, seconds: float) -> None:
        """Count a send that Service Bus accepted. `size`: bytes of its messages; `seconds`: until it was accepted."""
        counts = self._counts
        counts["messages_sent", entity] += messages
        counts["sends", entity] += 1
        counts["bytes_sent", entity] += size
        counts["send_seconds", entity] += seconds
        self._report_if_due()

    def throttled(self, entity: str, seconds: float) -> None:
        """Count a wait that the service has asked for, because it is busy or the entity full."""
        self._counts["throttled_seconds", entity] += seconds
        self._report_if_due()

    def report(self) -> None:
        for (name, entity), value in self._counts.items():
            self._telemetry.count(name, value, entity=entity)
        self._counts.clear()
        self._reported_at = self._clock()

    def _report_if_due(self) -> None:
        if self._clock() - self._reported_at >= INTERVAL_S:
            self.report()
