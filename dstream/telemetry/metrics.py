"""The figures of all runs in Prometheus' text format, collected when requested; docs/operations/metrics.md lists them.

Importing this module imports prometheus_client, so import it only if metrics are wanted. It does not use that library's
global registry.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dstream.telemetry.families import families
from dstream.telemetry.health import RunsWatch

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(runs: RunsWatch) -> bytes:
    """Return the latest figures of all tasks, as the body of /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(runs))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, runs: RunsWatch) -> None:
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        for family in families(self._runs):
            metric = Metric(family.name, family.meaning, family.kind)
            suffix = "_total" if family.kind == "counter" else ""
            for sample in family.samples:
                metric.add_sample(f"{family.name}{suffix}{sample.suffix}", dict(sample.labels), sample.value)
            yield metric
