"""What a provider reports about itself: log lines, metrics, phase."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec

from dstream.protocol.messages import Heartbeat, Metric, encode

Send = Callable[[bytes], None]
UNRESPONSIVE_S = 10.0
"""A source or destination that takes longer to answer counts as lost: far longer than a healthy one needs."""

ProviderPhase = Literal["snapshot", "stream", "idle", "throttled", "reconnecting"]
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Telemetry:
    """Sent to the host as control lines. Never pass a secret: the host redacts it, but only after it has passed through
    the pipe."""

    def __init__(self, send: Send, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._now = self._sent = Heartbeat()
        self._measured_s = 0.0
        self._worst_lag_ms: int | None = None
        self._awaited: dict[int, tuple[float, str]] = {}
        self._numbers = itertools.count()

    def debug(self, event: str, **fields: Any) -> None:
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log("error", event, fields)

    def count(self, name: str, increment: float = 1, **labels: str) -> None:
        self._send(encode(Metric(name, "counter", increment, labels)))

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._send(encode(Metric(name, "gauge", value, labels)))

    def phase(self, phase: ProviderPhase, lag_ms: int | None = None, *, reason: str = "") -> None:
        """Report the phase, within a second. `lag_ms`, of an input: the age of the oldest unread change, measured now;
        None keeps the last one. `reason`: why it is throttled or reconnecting, with the host's name.

        A task whose provider is reconnecting is not ready, and the lag of its input grows."""
        with self._lock:
            if lag_ms is None:
                lag_ms = self._now.lag_ms
            else:
                self._measured_s = self._clock()
                self._worst_lag_ms = max(lag_ms, self._worst_lag_ms or 0)
            self._now = Heartbeat(phase, lag_ms, reason)

    @contextlib.contextmanager
    def awaiting(self, host: str) -> Iterator[None]:
        """Enter this around each call to the source or destination at `host`: a call that takes longer than 10 s counts
        as a lost connection until it returns."""
        number = next(self._numbers)
        with self._lock:
            self._awaited[number] = self._clock() + UNRESPONSIVE_S, host
        try:
            yield
        finally:
            with self._lock:
                del self._awaited[number]

    def has_news(self) -> bool:
        """Whether the next heartbeat differs from the last one."""
        with self._lock:
            return self._heartbeat() != self._sent

    def beat(self) -> None:
        """Send a heartbeat; the SDK does so every 10 seconds, and every second while there is news.

        The lag is the largest since the last heartbeat: a change that was read at once may have waited for its poll.
        """
        with self._lock:
            self._sent = heartbeat = self._heartbeat()
            self._worst_lag_ms = self._now.lag_ms
            lag_ms = heartbeat.lag_ms
            if heartbeat.phase == "reconnecting" and lag_ms is not None:
                lag_ms += round((self._clock() - self._measured_s) * 1000)
        self._send(encode(Heartbeat(heartbeat.phase, lag_ms, heartbeat.reason)))

    def _heartbeat(self) -> Heartbeat:
        """Called with the lock held. The lag is as it was measured."""
        phase, reason = self._now.phase, self._now.reason
        now_s = self._clock()
        overdue = next((host for deadline_s, host in self._awaited.values() if now_s >= deadline_s), None)
        if overdue is not None and phase != "reconnecting":
            phase, reason = "reconnecting", f"{overdue} does not respond"
        return Heartbeat(phase, self._worst_lag_ms, reason)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self._send(_encode({"dstream": "log", "level": level, "event": event, **fields}) + b"\n")


class StderrTelemetry(Telemetry):
    """For a provider without a host of this protocol: log lines as text on stderr, and nothing else."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        text = " ".join((level, event, *(f"{key}={value}" for key, value in fields.items())))
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the log of a provider without a host
