"""A receiver of OTLP over HTTP that keeps what arrives, decoded with the official messages (opentelemetry-proto)."""

from __future__ import annotations

import functools
import gzip
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    """Listens on a free port of 127.0.0.1 as a context manager. `refuses`: answers with 503 while it is true."""

    def __init__(self) -> None:
        self.refuses = False
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._metrics: list[ExportMetricsServiceRequest] = []
        self._resources: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                status, answer = (503, b"") if receiver.refuses else (200, receiver._keep(self.path, body))
                with receiver._lock:
                    receiver.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # http.server's own signature
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """What makes a command export here, often."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def __enter__(self) -> Receiver:
        serve = functools.partial(self._server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, name="otlp-receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The attributes of the resources of all requests."""
        with self._lock:
            return list(self._resources)

    def values(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the metric's last values by their attributes, sorted."""
        found: dict[tuple[tuple[str, str], ...], float] = {}
        for metric in self._of(name):
            for point in (metric.sum if metric.HasField("sum") else metric.gauge).data_points:
                value = point.as_int if point.HasField("as_int") else point.as_double
                found[tuple(sorted((each.key, each.value.string_value) for each in point.attributes))] = value
        return found

    def unit(self, name: str) -> str:
        return str(self._of(name)[-1].unit)

    def names(self) -> set[str]:
        return {metric.name for metric in self._all()}

    def _of(self, name: str) -> list[Any]:
        return [metric for metric in self._all() if metric.name == name]

    def _all(self) -> list[Any]:
        with self._lock:
            requests = list(self._metrics)
        return [
            metric
            for request in requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def _keep(self, path: str, body: bytes) -> bytes:
        with self._lock:
            if path.endswith("/v1/traces"):
                traces = ExportTraceServiceRequest.FromString(body)
                for resource in traces.resource_spans:
                    self._resources.append(attributes(resource.resource))
                    self._spans += [span for scope in resource.scope_spans for span in scope.spans]
                return ExportTraceServiceResponse().SerializeToString()
            self._metrics.append(ExportMetricsServiceRequest.FromString(body))
            return ExportMetricsServiceResponse().SerializeToString()


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span, an event or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}
