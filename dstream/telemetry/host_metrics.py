"""The host's own metrics: names, units, meanings and sources, as docs/operations/metrics.md lists them.

Names are those of Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from dstream.host import CONDITION_PHASES
from dstream.telemetry.health import TaskWatch


@dataclass(frozen=True, slots=True)
class HostMetric:
    """One of the host's own metrics, with one sample per task, or one per task and value of `by`."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    meaning: str
    read: Callable[[TaskWatch], float | Mapping[str, float] | None]
    """Returns None while the value is unknown; it is then not exported. A mapping has one value per `by`."""
    by: str = ""
    """A second label, after `task`."""

    def samples(self, watch: TaskWatch) -> Mapping[str, float]:
        """Return the values by the second label, or by "" without one."""
        value = self.read(watch)
        if value is None:
            return {}
        return value if isinstance(value, Mapping) else {"": value}


HOST_METRICS = (
    HostMetric(
        "dstream_rows_relayed_total",
        "counter",
        "rows",
        "Rows relayed from the input. Rows read again after a restart are counted once.",
        lambda watch: watch.most_rows_relayed,
    ),
    HostMetric(
        "dstream_rows_settled_total",
        "counter",
        "rows",
        "Rows confirmed durable at the destination. Rows repeated after a restart are counted again.",
        lambda watch: watch.progress_now.rows_settled,
    ),
    HostMetric(
        "dstream_rows_rejected_total",
        "counter",
        "rows",
        "Settled rows that were rejected by the destination and moved to the dead-letter store.",
        lambda watch: watch.progress_now.rows_rejected,
    ),
    HostMetric(
        "dstream_bytes_relayed_total",
        "counter",
        "bytes",
        "Size of the relayed rows, as lines.",
        lambda watch: watch.progress_now.bytes_relayed,
    ),
    HostMetric(
        "dstream_checkpoints_stored_total",
        "counter",
        "checkpoints",
        "Checkpoints stored in the state backend.",
        lambda watch: watch.progress_now.checkpoints_stored,
    ),
    HostMetric(
        "dstream_store_seconds_total",
        "counter",
        "seconds",
        "Time that storing checkpoints took, with the attempts that failed.",
        lambda watch: watch.progress_now.store_s,
    ),
    HostMetric(
        "dstream_restarts_total",
        "counter",
        "restarts",
        "Restarts of both providers after a failure.",
        lambda watch: watch.progress_now.restarts,
    ),
    HostMetric(
        "dstream_throttled_seconds_total",
        "counter",
        "seconds",
        "Time in the phase `throttled`.",
        lambda watch: watch.throttled_s,
    ),
    HostMetric(
        "dstream_rows_in_flight",
        "gauge",
        "rows",
        "Rows relayed but not yet settled.",
        lambda watch: watch.rows_in_flight,
    ),
    HostMetric(
        "dstream_checkpoints_in_flight",
        "gauge",
        "checkpoints",
        "Checkpoints relayed but not yet stored.",
        lambda watch: watch.progress_now.checkpoints_in_flight,
    ),
    HostMetric(
        "dstream_lag_seconds",
        "gauge",
        "seconds",
        "How far the destination is behind the source. Absent until the input first reports it.",
        lambda watch: None if watch.progress_now.lag_ms is None else watch.progress_now.lag_ms / 1000,
    ),
    HostMetric(
        "dstream_lease_held",
        "gauge",
        "0 or 1",
        "1 if this process can prove that it holds the task's lease: 0 for a standby.",
        lambda watch: int(watch.progress_now.holds_lease and watch.condition.phase not in ("failed", "finished")),
    ),
    HostMetric(
        "dstream_task_ready",
        "gauge",
        "0 or 1",
        "1 if rows can flow, as in /readyz.",
        lambda watch: int(watch.condition.is_ready),
    ),
    HostMetric(
        "dstream_task_condition",
        "gauge",
        "0 or 1",
        "1 for the current phase in the label `phase`, 0 for the others.",
        lambda watch: {phase: int(phase == watch.condition.phase) for phase in CONDITION_PHASES},
        by="phase",
    ),
)
