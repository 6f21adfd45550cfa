"""Reports a run's events: redacted, attributed to the task, one call at a time."""

from __future__ import annotations

import threading
from typing import Any

from dstream.host.run.job import Events, MetricValue, Phase, Progress
from dstream.protocol.messages import Heartbeat, Log, Metric, Role, decode_log_fields
from dstream.redact import Redactor


class RunReport:
    """Passes events to the caller and keeps the providers' phases and metrics."""

    def __init__(self, task: str, events: Events, redactor: Redactor) -> None:
        self._task = task
        self._events = events
        self._redactor = redactor
        self._lock = threading.Lock()
        self._labels: dict[Role, str] = {}
        self._phases: dict[Role, Phase] = {}
        self._metrics: dict[tuple[Role, str, tuple[tuple[str, str], ...]], MetricValue] = {}

    def name(self, role: Role, provider: str) -> None:
        """Set the name under which a provider's events appear."""
        self._labels[role] = provider

    def started(self, role: Role, provider: str) -> None:
        """Discard the phase and lag of the last process: a new one has started."""
        self.name(role, provider)
        self._phases.pop(role, None)

    def log(self, level: str, event: str, **fields: Any) -> None:
        clean = self._redactor.value(fields)
        with self._lock:
            self._events.log(level, event, task=self._task, **clean)

    def text(self, role: Role, text: str, *, stream: str) -> None:
        """Log a provider's line that is not a message."""
        self._provider("info", role, text, {"stream": stream})

    def told(self, role: Role, control: Heartbeat | Log | Metric, line: bytes) -> None:
        """Handle a heartbeat, log line or metric of a provider."""
        if isinstance(control, Heartbeat):
            self._phases[role] = Phase(control.phase, control.lag_ms)
        elif isinstance(control, Log):
            self._provider(control.level, role, control.event, decode_log_fields(line))
        else:
            self._count(role, control)

    def progress(self, progress: Progress) -> None:
        with self._lock:
            self._events.progress(progress)

    @property
    def phases(self) -> dict[Role, Phase]:
        return dict(self._phases)

    @property
    def metrics(self) -> tuple[MetricValue, ...]:
        with self._lock:
            return tuple(self._metrics.values())

    def _provider(self, level: str, role: Role, message: str, fields: dict[str, Any]) -> None:
        own = {"role": role, "provider": self._labels.get(role, ""), "message": message}
        reserved = {"level", "event", "task", *own}
        self.log(level, "provider.log", **own, **{name: fields[name] for name in fields if name not in reserved})

    def _count(self, role: Role, metric: Metric) -> None:
        labels = tuple(sorted((self._redactor.text(k), self._redactor.text(v)) for k, v in metric.labels.items()))
        key = (role, metric.name, labels)
        with self._lock:
            known = self._metrics.get(key)
            before = known.value if known and metric.kind != "gauge" else 0.0
            count = known.count if known else 0
            self._metrics[key] = MetricValue(role, metric.name, metric.kind, labels, before + metric.value, count + 1)
