"""What switches the export on, and what is reported if it cannot work."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from dstream.telemetry.exporting import exporting
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.signals import wanted_signals

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, level: str, event: str, /, **fields: Any) -> None:
        self.events.append((level, event, fields))


@pytest.mark.parametrize(
    ("environ", "signals"),
    [
        ({}, set()),
        (ENDPOINT, {"traces", "metrics"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, set()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, {"traces"}),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, set()),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "console,otlp", "OTEL_METRICS_EXPORTER": "prometheus"}, {"traces"}),
    ],
)
def test_an_endpoint_switches_on_what_no_other_variable_switches_off(
    environ: dict[str, str], signals: set[str]
) -> None:
    assert wanted_signals(environ) == signals


def test_nothing_is_imported_while_no_endpoint_is_set() -> None:
    log = Log()
    with exporting({"OTEL_SERVICE_NAME": "orders"}, log) as export:
        assert export is None
    assert log.events == []


def test_without_the_extra_a_warning_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("dstream.telemetry.otlp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    log = Log()
    with exporting(ENDPOINT, log) as export:
        assert export is None
    ((level, event, fields),) = log.events
    assert (level, event) == ("warning", "telemetry.unavailable")
    assert "pip install opentelemetry-exporter-otlp-proto-http opentelemetry-sdk" in fields["hint"]


def test_another_protocol_than_http_is_refused_with_the_fix() -> None:
    log = Log()
    with exporting({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, log) as export:
        assert export is None
    ((_, event, fields),) = log.events
    assert event == "telemetry.unavailable"
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in fields["hint"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
    ],
)
def test_a_value_that_the_sdk_refuses_does_not_end_the_command(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    log = Log()
    with exporting({**ENDPOINT, name: value}, log, RunsWatch(["orders"])) as export:
        assert export is None
    ((level, event, _),) = log.events
    assert (level, event) == ("warning", "telemetry.unavailable")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ],
)
def test_a_value_that_the_sdk_replaces_is_a_warning(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT["OTEL_EXPORTER_OTLP_ENDPOINT"])
    log = Log()
    with exporting(ENDPOINT, log) as export:
        assert export is not None
    assert [
        fields["message"] for _, event, fields in log.events if event == "telemetry.problem" and value in str(fields)
    ]
