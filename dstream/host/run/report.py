"""Reports a run's events: redacted, attributed to the task, one call at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dstream.host.run.condition import Condition, ConditionTracker, Phase, Stage
from dstream.host.run.job import Events, MetricValue, Progress
from dstream.host.run.lag import Lag
from dstream.protocol.messages import Heartbeat, Log, Metric, Role, decode_log_fields
from dstream.redact import Redactor
from dstream.shown import shown


class RunReport:
    """Passes events to the caller, and keeps the run's condition and lag and the providers' metrics."""

    def __init__(
        self,
        task: str,
        events: Events,
        redactor: Redactor,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        progress_every_s: float = 1.0,
    ) -> None:
        self._task = task
        self._events = events
        self._redactor = redactor
        self._clock = clock
        self._progress_every_s = progress_every_s
        self._lock = threading.Lock()
        self._labels: dict[Role, str] = {}
        self._tracker = ConditionTracker(now)
        self._lag = Lag()
        self._last = Progress(condition=self._tracker.current)
        self._last_s = clock()
        self._metrics: dict[tuple[Role, str, tuple[tuple[str, str], ...]], MetricValue] = {}

    def name(self, role: Role, provider: str) -> None:
        """Set the name under which a provider's events appear."""
        self._labels[role] = provider
        self._tracker.named(role, provider)

    def started(self, role: Role, provider: str) -> None:
        """Discard the phase of the last process: a new one has started."""
        self.name(role, provider)
        self._tracker.replaced(role)

    def enter(self, stage: Stage, reason: str = "") -> None:
        """Change the condition and report it immediately."""
        self._tracker.enter(stage, self._redactor.text(reason))
        self.progress(replace(self._last, condition=self.condition))

    def blocked(self, is_blocked: bool, *, is_unproven: bool = False) -> None:
        """The output has taken no rows for a while, or takes them again. `is_unproven`: the lease is not proven."""
        self._tracker.blocked(is_blocked, is_unproven=is_unproven)

    def cannot_read(self, oldest_read_s: float | None) -> None:
        """The providers are gone: the lag grows until new ones report it."""
        self._lag.cannot_read(self._clock(), oldest_read_s)

    @property
    def condition(self) -> Condition:
        return self._tracker.current

    def lag_ms(self, oldest_read_s: float | None) -> int | None:
        """Return the lag. `oldest_read_s`: when the oldest unsettled row was read at the source."""
        return self._lag.ms(self._clock(), oldest_read_s)

    def read_s(self) -> float:
        """Return the time, on the run's clock, up to which the input has read the source."""
        return self._lag.read_s(self._clock())

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        clean = self._redactor.value(fields)
        with self._lock:
            self._events.log(level, event, task=self._task, **clean)

    def text(self, role: Role, text: str, *, stream: str) -> None:
        """Log a provider's line that is not a message."""
        self.event(role, "info", text, {"stream": stream})

    def told(self, role: Role, control: Heartbeat | Log | Metric, line: bytes) -> None:
        """Handle a heartbeat, log line or metric of a provider."""
        if isinstance(control, Heartbeat):
            self._tracker.reported(role, Phase(control.phase, control.lag_ms, self._redactor.text(control.reason)))
            if role == "input":
                self._lag.reported(control.lag_ms, self._clock(), can_read=control.phase != "reconnecting")
        elif isinstance(control, Log):
            self.event(role, control.level, control.event, decode_log_fields(line))
        else:
            self._count(role, control)

    def progress(self, progress: Progress) -> None:
        with self._lock:
            self._last, self._last_s = progress, self._clock()
            self._events.progress(progress)

    def tick(self, figures: Callable[[], Progress]) -> Progress | None:
        """Report the figures if they are due or the condition has changed, and return them; otherwise None."""
        before, after = self._last.condition, self.condition
        if after == before and self._clock() - self._last_s < self._progress_every_s:
            return None
        if after.phase != before.phase:
            self._changed(before, after)
        progress = figures()
        self.progress(progress)
        return progress

    @property
    def metrics(self) -> tuple[MetricValue, ...]:
        with self._lock:
            return tuple(self._metrics.values())

    def event(self, role: Role, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Log a provider's event. A field with the name of one of the host's gets an underscore: `message_`."""
        own = {"role": role, "provider": self._labels.get(role, ""), "message": message}
        more = {f"{name}_" if name in own or name == "task" else name: value for name, value in fields.items()}
        self.log(self._redactor.text(level), "provider.log", **own, **more)

    def _changed(self, before: Condition, after: Condition) -> None:
        """Log a change while the providers run; the host logs the others as its own events."""
        level = "info" if after.phase == "streaming" else "warning"
        why = {"reason": after.reason} if after.reason else {}
        self.log(level, "run.condition", phase=after.phase, was=before.phase, **why)

    def _count(self, role: Role, metric: Metric) -> None:
        clean = self._redactor.text
        labels = tuple(sorted((shown(clean(label)), shown(clean(value))) for label, value in metric.labels.items()))
        name = clean(metric.name)
        key = (role, name, labels)
        with self._lock:
            known = self._metrics.get(key)
            before = known.value if known and metric.kind != "gauge" else 0.0
            count = known.count if known else 0
            self._metrics[key] = MetricValue(role, name, metric.kind, labels, before + metric.value, count + 1)
