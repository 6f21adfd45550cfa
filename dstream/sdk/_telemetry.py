"""What a provider reports about itself: log lines, metrics, phase."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from dstream.protocol.messages import Heartbeat, Metric, encode

Send = Callable[[bytes], None]
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Telemetry:
    """Sent to the host as control lines. Never pass a secret: the host redacts it, but only after it has passed through
    the pipe."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._heartbeat = Heartbeat()

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

    def phase(self, phase: Literal["snapshot", "stream", "idle", "throttled"], lag_ms: int | None = None) -> None:
        """Sent with the next heartbeat."""
        self._heartbeat = Heartbeat(phase, lag_ms)

    def beat(self) -> None:
        """Send a heartbeat; the SDK does so every 10 seconds."""
        self._send(encode(self._heartbeat))

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self._send(_encode({"dstream": "log", "level": level, "event": event, **fields}) + b"\n")


class StderrTelemetry(Telemetry):
    """For a provider without a host of this protocol: log lines as text on stderr, and nothing else."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        text = " ".join((level, event, *(f"{key}={value}" for key, value in fields.items())))
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the log of a provider without a host
