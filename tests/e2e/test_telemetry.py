"""`dstream run` and lifecycle commands with an OTLP receiver: what arrives, and what happens if there is none."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.otlp import Receiver, attributes
from tests.running import DStream, Sandbox, wait_until

SECRET = "s3cr3t-of-the-collector"
COUNTER = """
task "orders" {
  restart { initial_delay = "100ms" }
  input {
    provider = "counter"
    config {
      interval = "1ms"
      count    = %d
    }
  }
  output {
    %s
  }
}
"""
CONSOLE = 'provider = "console"\n    config {}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def counting(folder: Path, rows: int, output: str = CONSOLE, **environ: str) -> DStream:
    (folder / "dstream.hcl").write_text(COUNTER % (rows, output))
    return DStream(folder, {**os.environ, **environ})


def events(stderr: str, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def test_metrics_and_traces_arrive_with_the_figures_of_the_run(tmp_path: Path, receiver: Receiver) -> None:
    done = counting(tmp_path, 500, **receiver.environ)("run", "orders")

    assert done.returncode == 0, done.stderr
    task = (("task", "orders"),)
    assert receiver.values("dstream_rows_settled") == {task: 500}
    assert receiver.values("dstream_checkpoints_in_flight") == {task: 0}
    assert receiver.unit("dstream_store_seconds") == "s"
    phases = receiver.values("dstream_task_condition")
    assert phases[("phase", "finished"), *task] == 1
    spans = receiver.spans
    assert {span.name for span in spans} == {"publish orders"}
    assert sum(attributes(span)["dstream.rows"] for span in spans) == 500
    assert len({span.trace_id for span in spans}) == len(spans)
    for span in spans:
        assert span.kind == Span.SPAN_KIND_PRODUCER
        assert span.status.code == Status.STATUS_CODE_UNSET
        assert [event.name for event in span.events] == ["dstream.read"]
        assert span.start_time_unix_nano <= span.events[0].time_unix_nano <= span.end_time_unix_nano
    assert {each["service.name"] for each in receiver.resources} == {"dstream"}


def test_the_standard_variables_name_the_service_and_choose_the_sampler(tmp_path: Path, receiver: Receiver) -> None:
    environ = {
        **receiver.environ,
        "OTEL_SERVICE_NAME": "orders-to-bus",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}",
    }
    done = counting(tmp_path, 20, **environ)("run", "orders", "--log-level", "debug")

    assert done.returncode == 0, done.stderr
    assert receiver.values("dstream_rows_settled") == {(("task", "orders"),): 20}
    assert receiver.spans == []
    assert {each.get("api-key") for each in receiver.headers} == {SECRET}
    assert SECRET not in done.stderr + done.stdout


def test_the_provider_metrics_of_a_run_arrive_with_their_labels(tmp_path: Path, receiver: Receiver) -> None:
    measured = tmp_path / "measured"
    measured.write_text(
        "#!/bin/sh\n"
        'echo \'{"dstream":"hello","protocol":1,"role":"output","name":"measured","version":"1","capabilities":["ack"]}\'\n'
        'read -r line_1; echo \'{"status":"ready"}\'\n'
        'echo \'{"dstream":"metric","name":"sends","kind":"counter","value":3,"labels":{"entity":"orders"}}\'\n'
        "rows=0\n"
        'while IFS= read -r line; do case "$line" in\n'
        '*\'"checkpoint"\'*) seq=${line#*\\"seq\\":}; echo "{\\"dstream\\":\\"ack\\",\\"seq\\":${seq%%[,\\}]*},\\"n\\":$rows}"; rows=0 ;;\n'
        "*'\"dstream\"'*) ;;\n"
        "*) rows=$((rows + 1)) ;; esac; done\n"
    )
    measured.chmod(0o755)
    done = counting(tmp_path, 5, 'provider_path = "./measured"\n    config {}', **receiver.environ)("run", "orders")

    assert done.returncode == 0, done.stderr
    labels = (("entity", "orders"), ("role", "output"), ("task", "orders"))
    assert receiver.values("dstream_provider_sends") == {labels: 3}


def test_a_message_carries_the_context_of_a_span_that_covers_its_row(
    tmp_path: Path, sandbox: Sandbox, receiver: Receiver
) -> None:
    sandbox.create_queue("traced")
    output = 'provider = "servicebus"\n    config {\n connection_string = env("ASB_CONNECTION_STRING")\n queue = "traced"\n }'
    run = counting(tmp_path, 300, output)
    done = DStream(run.cwd, {**sandbox.env, **receiver.environ})("run", "orders")

    assert done.returncode == 0, done.stderr
    contexts: dict[tuple[str, str], int] = {}
    with (
        ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_receiver("traced", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as messages,
    ):
        while sum(contexts.values()) < 300:
            for message in messages.receive_messages(max_message_count=300, max_wait_time=60):
                properties = {bytes(key): value for key, value in (message.application_properties or {}).items()}
                assert properties[b"traceparent"] == properties[b"Diagnostic-Id"]
                version, trace_id, span_id, flags = bytes(properties[b"traceparent"]).decode().split("-")
                assert (version, int(flags, 16) & 1) == ("00", 1), "it is sampled"
                contexts[trace_id, span_id] = contexts.get((trace_id, span_id), 0) + 1
    rows_of = {(span.trace_id.hex(), span.span_id.hex()): attributes(span)["dstream.rows"] for span in receiver.spans}
    assert contexts == rows_of


def test_messages_have_no_context_unless_traces_are_exported(
    tmp_path: Path, sandbox: Sandbox, receiver: Receiver
) -> None:
    sandbox.create_queue("untraced")
    output = 'provider = "servicebus"\n    config {\n connection_string = env("ASB_CONNECTION_STRING")\n queue = "untraced"\n }'
    run = counting(tmp_path, 3, output)
    environ = {**sandbox.env, **receiver.environ, "OTEL_TRACES_EXPORTER": "none"}
    done = DStream(run.cwd, environ)("run", "orders")

    assert done.returncode == 0, done.stderr
    with (
        ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_receiver("untraced", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as messages,
    ):
        (message, *_) = messages.receive_messages(max_message_count=3, max_wait_time=60)
    assert not message.application_properties


def test_rows_that_a_failed_output_did_not_acknowledge_end_with_an_error(tmp_path: Path, receiver: Receiver) -> None:
    fails = tmp_path / "fails"
    fails.write_text(
        "#!/bin/sh\n"
        'echo \'{"dstream":"hello","protocol":1,"role":"output","name":"fails","version":"1","capabilities":["ack"]}\'\n'
        'read -r line_1; echo \'{"status":"ready"}\'; read -r row\n'
        'echo \'{"dstream":"log","level":"warning","event":"fails.soon","wait_s":3}\'\n'
        'echo \'{"dstream":"error","code":"fails.so","kind":"data","message":"this row cannot be written"}\'\n'
    )
    fails.chmod(0o755)
    done = counting(tmp_path, 50, 'provider_path = "./fails"\n    config {}', **receiver.environ)("run", "orders")

    assert done.returncode == 1
    assert receiver.spans
    assert {span.status.code for span in receiver.spans} == {Status.STATUS_CODE_ERROR}
    assert attributes(receiver.spans[0])["dstream.rows"] > 0
    (warning,) = [event for event in receiver.spans[0].events if event.name == "fails.soon"]
    assert attributes(warning) == {"level": "warning", "wait_s": 3}


@pytest.mark.parametrize("kind", ["refused", "silent", "unavailable"])
def test_a_collector_that_is_away_costs_a_warning_and_neither_rows_nor_time(
    tmp_path: Path, receiver: Receiver, kind: str
) -> None:
    """A silent one accepts connections and never answers; an unavailable one answers 503."""
    receiver.refuses = True
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = {"refused": closed.getsockname()[1], "silent": silent.getsockname()[1]}
        url = receiver.url if kind == "unavailable" else f"http://127.0.0.1:{ports[kind]}"
        environ = {
            **receiver.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{SECRET}",
        }
        run = counting(tmp_path, 1500, **environ)
        done = run("run", "orders", "--json", "--log-format", "json", "--log-level", "debug")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 1500
    (warning,) = events(done.stderr, "telemetry.export_failed")
    assert warning["level"] == "warning"
    assert not [line for line in done.stderr.splitlines() if not line.startswith("{")], "only log lines"
    assert SECRET not in done.stderr + done.stdout
    (finished,) = events(done.stderr, "run.finished")
    assert seconds(warning) - seconds(finished) < 60, "far less than the exporter's timeout"


def test_what_arrives_after_an_outage_is_exported_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.refuses = True
    environ = {**receiver.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with counting(tmp_path, 1_000_000, **environ).running("run", "orders") as run:
        run.says("telemetry.export_failed")
        receiver.refuses = False
        run.says("telemetry.export_resumed")
        wait_until(lambda: receiver.spans, "spans arrive")
        run.process.terminate()
        assert run.ended() == 0
        assert run.stderr.count("telemetry.export_failed") == 1


def test_a_header_that_the_sdk_cannot_read_is_not_quoted(tmp_path: Path, receiver: Receiver) -> None:
    done = counting(tmp_path, 3, **{**receiver.environ, "OTEL_EXPORTER_OTLP_HEADERS": SECRET})("run", "orders")

    assert done.returncode == 0, done.stderr
    assert "telemetry.problem" in done.stderr
    assert SECRET not in done.stderr + done.stdout


def test_a_dry_run_exports_nothing(tmp_path: Path, receiver: Receiver) -> None:
    done = counting(tmp_path, 3, **receiver.environ)("run", "orders", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert receiver.headers == []


def seconds(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
