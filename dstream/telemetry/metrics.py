"""The figures of all runs in Prometheus' text format, collected when requested; docs/operations/metrics.md lists them.

Importing this module imports prometheus_client, so import it only if metrics are wanted. It does not use that library's
global registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dstream.host import CONDITION_PHASES, MetricValue
from dstream.telemetry.health import RunsWatch, TaskWatch

CONTENT_TYPE = CONTENT_TYPE_LATEST
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")
_OWN_LABELS = ("task", "role")


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
        "Checkpoints written to disk.",
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
        "Checkpoints relayed but not yet on disk.",
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


def render(runs: RunsWatch) -> bytes:
    """Return the latest figures of all tasks, as the body of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(runs))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, runs: RunsWatch) -> None:
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        watches = list(self._runs.tasks.items())
        for metric in HOST_METRICS:
            family = Metric(metric.name.removesuffix("_total"), metric.meaning, metric.kind)
            for task, watch in watches:
                for by, value in metric.samples(watch).items():
                    family.add_sample(metric.name, {"task": task, **({metric.by: by} if metric.by else {})}, value)
            yield family
        families: dict[tuple[str, str], Metric] = {}
        for task, watch in watches:
            for reported in watch.progress_now.metrics:
                _add(families, task, reported)
        yield from families.values()


def _add(families: dict[tuple[str, str], Metric], task: str, value: MetricValue) -> None:
    """Add a provider's metric. A histogram becomes a summary without quantiles, since only sum and count are known. If
    two providers use a name for different kinds, the kind becomes part of the name, since a family has one kind."""
    name = "dstream_provider_" + _NO_NAME.sub("_", value.name).removesuffix("_total")
    kind = "summary" if value.kind == "histogram" else value.kind
    taken = {of_kind for of_name, of_kind in families if of_name == name}
    if (name, kind) not in families:
        shown = f"{name}_{kind}" if taken else name
        families[name, kind] = Metric(shown, "A metric of the provider.", kind)
    family = families[name, kind]
    labels = {"task": task, "role": value.role, **{_label(name): text for name, text in value.labels}}
    if kind == "summary":
        family.add_sample(f"{family.name}_sum", labels, value.value)
        family.add_sample(f"{family.name}_count", labels, value.count)
    else:
        family.add_sample(f"{family.name}_total" if kind == "counter" else family.name, labels, value.value)


def _label(name: str) -> str:
    """Return a valid Prometheus label name: letters, digits and _, not starting with a digit. A name that DStream or
    Prometheus reserves gets a prefix."""
    name = _NO_NAME.sub("_", name)
    if name in _OWN_LABELS or name.startswith("__"):
        return f"provider_{name.lstrip('_')}"
    return f"_{name}" if name[:1].isdigit() or not name else name
