"""`dstream run --metrics`: metrics, health and readiness of a running host, requested over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.running import DStream, RunningCommand, wait_until

COUNTER = 'provider = "counter"\n    config { interval = "5ms" }'
CONSOLE = 'provider = "console"\n    config {}'
TASK = 'task "%s" {\n  restart { initial_delay = "%s" }\n  input {\n    %s\n  }\n  output {\n    %s\n  }\n}\n'
MEASURED = r"""#!/bin/sh
echo '{"dstream":"hello","protocol":1,"role":"input","name":"measured","version":"1","capabilities":["checkpoint","ack"]}'
read -r line_1; read -r welcome
echo '{"status":"ready"}'
echo '{"dstream":"metric","name":"rows_read","kind":"counter","value":2,"labels":{"table":"dbo.A"}}'
echo '{"dstream":"metric","name":"rows_read","kind":"counter","value":3,"labels":{"table":"dbo.A"}}'
echo '{"dstream":"heartbeat","phase":"stream","lag_ms":2500}'
echo '{"data":{"n":1}}'
echo '{"dstream":"checkpoint","seq":1,"n":1,"state":{}}'
while read -r line; do case "$line" in *'"stop"'*) echo '{"dstream":"end","seq":1}';; esac; done
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., DStream]:
    """`make(name=input, ...)` returns a folder with these tasks."""

    def make(*, delay: str = "100ms", **inputs: str) -> DStream:
        measured = tmp_path / "measured"
        measured.write_text(MEASURED)
        measured.chmod(0o755)
        (tmp_path / "dstream.hcl").write_text("".join(TASK % (name, delay, inputs[name], CONSOLE) for name in inputs))
        return DStream(tmp_path)

    return make


def base_url(run: RunningCommand) -> str:
    run.says("metrics.listening")
    found = re.search(r"(http://127\.0\.0\.1:\d+)/metrics", run.stderr)
    assert found
    return found[1]


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def readiness(base: str) -> tuple[int, dict[str, Any]]:
    status, body = get(f"{base}/readyz")
    return status, json.loads(body)


def reason_of_503(base: str) -> str:
    """Why task `a` is not ready; "" if it is."""
    status, document = readiness(base)
    return str(document["tasks"]["a"]["reason"]) if status == 503 and not document["ready"] else ""


def figures(base: str) -> dict[tuple[str, str], float]:
    """The metrics by name and task."""
    status, body = get(f"{base}/metrics")
    assert status == 200
    return {
        (sample.name, sample.labels["task"]): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def test_metrics_of_every_task_grow_while_rows_flow(make: Callable[..., DStream]) -> None:
    with make(a=COUNTER, b=COUNTER).running("run", "--all", "--metrics", "127.0.0.1:0") as run:
        base = base_url(run)
        wait_until(lambda: readiness(base)[0] == 200, "both tasks are ready")
        for task in ("a", "b"):
            wait_until(lambda task=task: figures(base)["dstream_rows_settled_total", task] > 10, f"rows of {task}")
            assert figures(base)["dstream_task_ready", task] == 1
        assert get(f"{base}/healthz") == (200, "ok\n")
        assert get(f"{base}/nowhere")[0] == 404
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0, run.stderr


def test_metrics_include_those_of_the_provider_and_its_lag(make: Callable[..., DStream]) -> None:
    with make(m='provider_path = "./measured"\n    config {}').running("run", "m", "--metrics", "127.0.0.1:0") as run:
        base = base_url(run)
        wait_until(lambda: ("dstream_lag_seconds", "m") in figures(base), "the lag")
        assert figures(base)["dstream_lag_seconds", "m"] == 2.5
        expected = 'dstream_provider_rows_read_total{role="input",table="dbo.A",task="m"} 5.0'
        assert expected in get(f"{base}/metrics")[1]


def test_readiness_reports_a_restart_and_recovers(
    make: Callable[..., DStream],
) -> None:
    with make(delay="2s", a=COUNTER).running("run", "a", "--metrics", "127.0.0.1:0", "--log-format", "json") as run:
        base = base_url(run)
        wait_until(lambda: readiness(base)[0] == 200, "ready")
        os.kill(run.child("console").pid, signal.SIGKILL)
        wait_until(lambda: "restarting after provider.died" in reason_of_503(base), "the cause of the restart")
        assert get(f"{base}/healthz")[0] == 200
        wait_until(lambda: readiness(base)[0] == 200, "ready again")
        wait_until(lambda: figures(base)["dstream_restarts_total", "a"] == 1, "the restart is counted")


def test_a_port_in_use_is_an_error_before_anything_starts(make: Callable[..., DStream]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = make(a=COUNTER)("run", "a", "--metrics", f"127.0.0.1:{port}")
    assert done.returncode == 3, done.stderr
    assert f"cannot serve metrics at 127.0.0.1:{port}" in done.stderr
    assert "[metrics.unavailable]" in done.stderr
    assert "provider.ready" not in done.stderr


@pytest.mark.parametrize("address", ["9100", ":9100", "localhost:", "localhost:http", "127.0.0.1:65536"])
def test_an_address_without_a_host_or_a_valid_port_is_refused(make: Callable[..., DStream], address: str) -> None:
    done = make(a=COUNTER)("run", "a", "--metrics", address)
    assert done.returncode == 3
    assert "HOST:PORT" in done.stderr


def test_metrics_are_served_on_the_given_host_only(make: Callable[..., DStream]) -> None:
    with make(a=COUNTER).running("run", "a", "--metrics", "127.0.0.1:0") as run:
        port = int(base_url(run).rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)
