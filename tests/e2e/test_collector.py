"""A run, a real OpenTelemetry Collector with examples/observability/collector.yml, and what comes out of it."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dstream.telemetry.host_metrics import HOST_METRICS
from tests.conftest import ROOT
from tests.e2e.test_telemetry import counting
from tests.otlp import Receiver, attributes
from tests.running import wait_until

EXAMPLE = ROOT / "examples" / "observability" / "collector.yml"
VERSION = re.search(r"collector/otelcol (v[\d.]+)", (ROOT / "tools" / "collector" / "go.mod").read_text())
assert VERSION
OTELCOL = Path.home() / ".dstream" / "otelcol" / VERSION[1] / "otelcol"

pytestmark = [
    pytest.mark.soak,  # building the collector takes minutes; tests/e2e/test_telemetry.py has a receiver of its own
    pytest.mark.skipif(not OTELCOL.exists(), reason="needs Go; `make collector` builds the collector with it"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[tuple[str, str, Receiver]]:
    """The collector's OTLP endpoint, its page for Prometheus, and the backend that gets its traces."""
    otlp, prometheus = free_port(), free_port()
    with Receiver() as backend:
        config = EXAMPLE.read_text().replace("http://127.0.0.1:14318", backend.url)
        config = config.replace(":4318", f":{otlp}").replace(":8889", f":{prometheus}")
        (tmp_path / "collector.yml").write_text(f"{config}  telemetry: {{metrics: {{level: none}}}}\n")
        with (tmp_path / "collector.log").open("wb") as log:
            process = subprocess.Popen([OTELCOL, "--config", "collector.yml"], cwd=tmp_path, stdout=log, stderr=log)
        try:
            wait_until(lambda: "Everything is ready" in (tmp_path / "collector.log").read_text(), "the collector runs")
            yield f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{prometheus}/metrics", backend
        finally:
            process.kill()
            process.wait()


def test_prometheus_gets_the_documented_names_and_the_backend_the_spans(
    tmp_path: Path, collector: tuple[str, str, Receiver]
) -> None:
    endpoint, page, backend = collector

    done = counting(tmp_path, 500, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_TRACES_SAMPLER="always_on")(
        "run", "orders"
    )

    assert done.returncode == 0, done.stderr
    assert "telemetry.export_failed" not in done.stderr
    with urlopen(page, timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples if sample.name != "target_info"]
    without_value = {"dstream_lag_seconds"}  # the input has not reported it
    assert {sample.name for sample in samples} == {metric.name for metric in HOST_METRICS} - without_value
    assert {(sample.labels["job"], sample.labels["task"]) for sample in samples} == {("dstream", "orders")}
    assert [sample.value for sample in samples if sample.name == "dstream_rows_settled_total"] == [500]
    wait_until(lambda: sum(attributes(span)["dstream.rows"] for span in backend.spans) == 500, "all spans arrive")
