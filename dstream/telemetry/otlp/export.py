"""The SDK's providers of this process, from start to the last export.

The SDK exports on daemon threads of its own. A collector that is away costs nothing but its data: the SDK drops what
its queues cannot hold. The global providers stay unset, so no library traces into ours.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

import dstream
from dstream.host import Job
from dstream.redact import Redactor, environment_secrets
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.otlp.commands import CommandTraces
from dstream.telemetry.otlp.metrics import Instruments
from dstream.telemetry.otlp.outage import Outage
from dstream.telemetry.otlp.runs import RunTelemetry
from dstream.telemetry.signals import Log, Signal, endpoint_of

_LAST_EXPORT_S = 3.0
"""How long the last export may take."""
_DEAD_S = 1.0
"""The same while the collector does not answer."""
_LOOK_UP_S = 0.05
_SCOPE = "dstream"


class Export:
    """Exports from creation to `close`. Raises ValueError for a variable that the SDK refuses."""

    def __init__(
        self, signals: frozenset[Signal], environ: Mapping[str, str], log: Log, runs: RunsWatch | None
    ) -> None:
        self._outage = Outage(log, Redactor(secrets=environment_secrets(environ)).text)
        self._exporters: list[OTLPSpanExporter | OTLPMetricExporter] = []
        self._traces: TracerProvider | None = None
        self._metrics: MeterProvider | None = None
        self._instruments: Instruments | None = None
        self._sdk_log = logging.getLogger("opentelemetry")
        self._sdk_log.addHandler(self._outage)
        self._sdk_log.addHandler(logging.NullHandler())  # its threads may outlive `close`; nothing goes to stderr
        self._sdk_log.propagate = False
        try:
            places = sorted({_without_user(endpoint_of(signal, environ)) for signal in signals})
            self._open(signals, runs)
        except BaseException:
            self._end()
            raise
        log("info", "telemetry.exporting", signals=sorted(signals), endpoint=", ".join(places))

    def run(self, job: Job) -> RunTelemetry:
        """Return what a run's events go to, and its tracer."""
        tracer = self._traces.get_tracer(_SCOPE, dstream.__version__) if self._traces else None
        return RunTelemetry(job, tracer, self._instruments)

    def commands(self, environ: Mapping[str, str]) -> CommandTraces | None:
        """Return the traces of a lifecycle command. TRACEPARENT in the environment is the parent of its span."""
        return CommandTraces(self._traces.get_tracer(_SCOPE, dstream.__version__), environ) if self._traces else None

    def close(self) -> None:
        """Export what is left, unless the user interrupts it. Returns soon if the collector does not answer."""
        if self._instruments is not None:
            self._instruments.refresh()
        with contextlib.suppress(KeyboardInterrupt):  # the work of the command is done
            self._flush()
        self._end()

    def _open(self, signals: frozenset[Signal], runs: RunsWatch | None) -> None:
        resource = _resource()
        if "traces" in signals:
            spans = _SpanExporter(self._outage)
            self._exporters.append(spans)
            self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._traces.add_span_processor(BatchSpanProcessor(spans))
        if "metrics" in signals and runs is not None:
            metrics = _MetricExporter(self._outage)
            self._exporters.append(metrics)
            reader = PeriodicExportingMetricReader(metrics)
            self._metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            self._instruments = Instruments(self._metrics.get_meter(_SCOPE, dstream.__version__), runs)

    def _end(self) -> None:
        self._outage.is_closed = True
        for exporter in self._exporters:
            exporter.shutdown()
        self._sdk_log.removeHandler(self._outage)

    def _flush(self) -> None:
        providers = [provider for provider in (self._traces, self._metrics) if provider is not None]
        closing = [threading.Thread(target=provider.shutdown, daemon=True) for provider in providers]
        begun_s = time.monotonic()
        for thread in closing:
            thread.start()
        while any(thread.is_alive() for thread in closing):
            allowed_s = _DEAD_S if self._outage.is_away else _LAST_EXPORT_S
            if time.monotonic() - begun_s >= allowed_s:
                self._outage.gave_up()
                break
            closing[0 if closing[0].is_alive() else -1].join(_LOOK_UP_S)


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._outage.watched("traces") as attempt:
            result = super().export(spans)
            attempt.is_exported = result is SpanExportResult.SUCCESS
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **more: object
    ) -> MetricExportResult:
        with self._outage.watched("metrics") as attempt:
            result = super().export(metrics_data, timeout_millis, **more)
            attempt.is_exported = result is MetricExportResult.SUCCESS
        return result


def _resource() -> Resource:
    """The resource that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES describe; without a name, it is `dstream`."""
    found = Resource.create({SERVICE_VERSION: dstream.__version__})
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "dstream"}))
    return found


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
