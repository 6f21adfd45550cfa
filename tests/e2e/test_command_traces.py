"""Lifecycle commands with an OTLP receiver: a span for the command, its tasks and the resources that change."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.otlp import Receiver, attributes
from tests.running import DStream

HCL = """
task "orders" {
  input {
    provider = "counter"
    config {}
  }
  output {
    provider = "test_infrastructure"
    config {
      resources = { orders = {}, returns = {} }
      fail      = { %s }
    }
  }
}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def project(folder: Path, receiver: Receiver, fail: str = "", **environ: str) -> DStream:
    (folder / "dstream.hcl").write_text(HCL % fail)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **environ}
    return DStream(folder, {**os.environ, **environ})


def children(spans: list[Span], of: Span) -> list[Span]:
    return sorted(
        (span for span in spans if span.parent_span_id == of.span_id), key=lambda span: span.start_time_unix_nano
    )


def root(spans: list[Span]) -> Span:
    (found,) = [span for span in spans if span.name.startswith("dstream ")]
    assert {span.trace_id for span in spans} == {found.trace_id}
    return found


def test_init_is_one_trace_with_its_phases_and_the_changed_resources(tmp_path: Path, receiver: Receiver) -> None:
    done = project(tmp_path, receiver)("init", "orders", "--yes")

    assert done.returncode == 0, done.stderr
    command = root(receiver.spans)
    assert command.name == "dstream init"
    assert command.parent_span_id == b""
    assert attributes(command) == {"process.exit.code": 0}
    plan, init = children(receiver.spans, command)
    assert (plan.name, init.name) == ("plan", "init")
    assert attributes(init) == {"dstream.task": "orders"}
    created = children(receiver.spans, init)
    assert [span.name for span in created] == ["create test:Queue", "create test:Queue"]
    assert {attributes(span)["dstream.resource.name"] for span in created} == {"orders", "returns"}
    assert all(init.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in created)


def test_the_span_of_a_pipeline_is_the_parent_of_a_command(tmp_path: Path, receiver: Receiver) -> None:
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    environ = {"TRACEPARENT": f"00-{trace_id}-{span_id}-01"}
    done = project(tmp_path, receiver, **environ)("plan", "orders", "--detailed-exitcode")

    assert done.returncode == 2, done.stderr
    command = root(receiver.spans)
    assert (command.trace_id.hex(), command.parent_span_id.hex()) == (trace_id, span_id)
    assert command.status.code == Status.STATUS_CODE_UNSET


def test_a_failed_resource_and_its_command_have_the_status_error(tmp_path: Path, receiver: Receiver) -> None:
    done = project(tmp_path, receiver, '"init:returns" = "auth"')("init", "orders", "--yes")

    assert done.returncode != 0
    command = root(receiver.spans)
    (init,) = [span for span in children(receiver.spans, command) if span.name == "init"]
    (failed,) = [span for span in children(receiver.spans, init) if span.status.code == Status.STATUS_CODE_ERROR]
    assert attributes(failed)["dstream.resource.name"] == "returns"
    assert init.status.code == command.status.code == Status.STATUS_CODE_ERROR
    assert attributes(init)["error.type"]
    assert attributes(command)["process.exit.code"] == done.returncode


def test_a_command_that_is_refused_has_the_code_of_its_error(tmp_path: Path, receiver: Receiver) -> None:
    done = project(tmp_path, receiver)("plan", "returns")

    assert done.returncode == 3
    assert attributes(root(receiver.spans)) == {"error.type": "task.unknown"}


def test_warnings_about_the_export_follow_the_output_and_change_nothing(tmp_path: Path, receiver: Receiver) -> None:
    dstream = project(tmp_path, receiver)
    without = dstream("plan", "orders", "--json")
    receiver.refuses = True
    done = dstream("plan", "orders", "--json")

    assert (done.returncode, json.loads(done.stdout)["tasks"]) == (0, json.loads(without.stdout)["tasks"])
    assert done.stderr.count("telemetry.export_failed") == 1
    assert "telemetry" not in without.stderr
