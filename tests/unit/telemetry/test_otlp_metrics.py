"""The metrics over OTLP are those of Prometheus: the same names, labels and values."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint, Sum
from prometheus_client.parser import text_string_to_metric_families

from dstream.host import Condition, Job, MetricValue, Progress, ProviderSpec
from dstream.state import StateLocation
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.metrics import render
from dstream.telemetry.otlp.metrics import Instruments
from dstream.telemetry.otlp.runs import RunTelemetry

SPEC = ProviderSpec((), {}, "spec")
JOB = Job("orders", "run", SPEC, SPEC, StateLocation("dev", Path()))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Exported:
    """Runs whose metrics are read as an exporter reads them."""

    def __init__(self, runs: RunsWatch) -> None:
        self._runs = runs
        self._reader = InMemoryMetricReader()
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.instruments = Instruments(meters.get_meter("test"), runs)

    def samples(self) -> Samples:
        """By the names that they have in Prometheus: with `_total` for what only grows, unless it is a summary's."""
        found: Samples = {}
        data = self._reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            is_counter = isinstance(metric.data, Sum)
            is_of_summary = metric.name.endswith(("_sum", "_count"))
            name = f"{metric.name}_total" if is_counter and not is_of_summary else metric.name
            for point in metric.data.data_points:
                assert isinstance(point, NumberDataPoint)
                labels = tuple(sorted((key, str(value)) for key, value in (point.attributes or {}).items()))
                found[name, labels] = point.value
        return found

    def prometheus(self) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(render(self._runs).decode())
            for sample in family.samples
        }


PROGRESS = Progress(
    rows_relayed=120,
    rows_settled=100,
    bytes_relayed=4096,
    store_s=0.25,
    holds_lease=True,
    condition=Condition("throttled", "why", is_ready=True),
    lag_ms=1500,
)


def test_every_host_metric_has_the_same_labels_and_value() -> None:
    runs = RunsWatch(["orders", "returns"])
    runs.of("orders").progress(PROGRESS)
    exported = Exported(runs)
    assert exported.samples() == exported.prometheus()


def test_a_metric_that_a_provider_reports_later_is_exported_after_the_next_progress() -> None:
    runs = RunsWatch(["orders"])
    exported = Exported(runs)
    assert not [name for name, _ in exported.samples() if "provider" in name]
    metrics = (
        MetricValue("input", "rows_read", "counter", (("table", "dbo.A"),), 5, 1),
        MetricValue("output", "open.links", "gauge", (), 2, 1),
        MetricValue("output", "batch_seconds", "histogram", (), 4.5, 9),
        MetricValue("output", "x" * 300, "gauge", (), 1, 1),
    )
    progress = Progress(metrics=metrics)
    runs.of("orders").progress(progress)
    RunTelemetry(JOB, None, exported.instruments).progress(progress)
    expected = {key: value for key, value in exported.prometheus().items() if "x" * 300 not in key[0]}
    assert exported.samples() == expected
    assert exported.samples()["dstream_provider_rows_read_total", _labels(role="input", table="dbo.A")] == 5


def test_a_task_that_is_gone_is_no_longer_exported() -> None:
    runs = RunsWatch(["orders", "returns"])
    exported = Exported(runs)
    exported.samples()
    runs.keep(["orders"])
    assert {dict(labels)["task"] for _, labels in exported.samples()} == {"orders"}


def _labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"task": "orders", **more}.items()))
