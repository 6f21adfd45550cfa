"""What the heartbeat reports while sends fail: the worst of what the workers experience."""

from __future__ import annotations

import threading
from typing import Literal

from dstream.sdk import Telemetry

TroublePhase = Literal["throttled", "reconnecting"]


class Trouble:
    """The workers whose last send failed. `host`: of the namespace."""

    def __init__(self, telemetry: Telemetry, host: str) -> None:
        self.host = host
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._workers: dict[int, tuple[TroublePhase, str]] = {}

    def seen(self, worker: int, phase: TroublePhase, reason: str) -> None:
        """A send failed and is retried."""
        with self._lock:
            self._workers[worker] = phase, reason
            self._report()

    def over(self, worker: int) -> None:
        """Its send was accepted."""
        with self._lock:
            if self._workers.pop(worker, None) is not None:
                self._report()

    def _report(self) -> None:
        if not self._workers:
            self._telemetry.phase("stream")
            return
        phase, reason = min(self._workers.values())  # "reconnecting" sorts before "throttled"
        self._telemetry.phase(phase, reason=f"{self.host}: {reason}")
