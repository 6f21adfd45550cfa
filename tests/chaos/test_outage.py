"""An outage of both servers under load: every place that shows the task's condition and lag tells the truth.

The suite has a short outage; `make soak` has one of 60 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from dstream_sandbox import workload
from prometheus_client.parser import text_string_to_metric_families

from dstream.host import ask_host, socket_path
from tests.chaos.application import Writer, compare, recorded_changes
from tests.running import BIN, DStream, Sandbox, wait_until

HCL = """
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Customers", "dbo.Orders", "dbo.OrderLines"]
    }
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "orders"
    }
  }
}
"""


LIVE_LAG = r"○ reconnecting[^●○]*? lag ([\d.]+) (s|min)"


class Terminal:
    """`dstream run orders` on a terminal of 200 columns, with everything that it shows."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self._shown = bytearray()
        controller, terminal = pty.openpty()
        os.set_blocking(controller, True)
        self.process = subprocess.Popen(
            [BIN / "dstream", "run", "orders", "--metrics", "127.0.0.1:0"],
            cwd=folder,
            env={**env, "COLUMNS": "200", "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, args=(controller,), daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        return self._shown.decode(errors="replace")

    def last(self, pattern: str) -> re.Match[str] | None:
        """The last match in what it has shown."""
        return max(re.finditer(pattern, self.shown), key=lambda found: found.start(), default=None)

    def url(self, path: str) -> str:
        found = wait_until(lambda: self.last(r"http://127\.0\.0\.1:\d+"), f"the address:\n{self.shown}")
        return f"{found[0]}{path}"

    def _read(self, controller: int) -> None:
        with contextlib.suppress(OSError):  # EIO once the process is gone
            while chunk := os.read(controller, 65536):
                self._shown += chunk
        os.close(controller)


@pytest.fixture
def streaming(own_sandbox: Sandbox, tmp_path: Path) -> Iterator[tuple[Terminal, Writer]]:
    """A run that streams what an application writes into a queue with duplicate detection."""
    own_sandbox.create_queue("orders", requires_duplicate_detection=True)
    with contextlib.closing(own_sandbox.connect()) as connection:
        workload.create_tables(connection)
    (tmp_path / "dstream.hcl").write_text(HCL)
    writer = Writer(own_sandbox, 1)
    terminal = Terminal(tmp_path, own_sandbox.env)
    try:
        yield terminal, writer
    finally:
        writer.finish()
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.timeout(300)
def test_an_outage_shows_everywhere_and_nothing_is_lost(
    own_sandbox: Sandbox, streaming: tuple[Terminal, Writer]
) -> None:
    outage(own_sandbox, *streaming, outage_s=8)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_an_outage_of_a_minute_shows_everywhere_and_nothing_is_lost(
    own_sandbox: Sandbox, streaming: tuple[Terminal, Writer]
) -> None:
    outage(own_sandbox, *streaming, outage_s=60)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["sqlserver", "servicebus"])
def test_a_server_that_does_not_answer_counts_as_lost(
    own_sandbox: Sandbox, streaming: tuple[Terminal, Writer], server: str
) -> None:
    terminal, writer = streaming
    wait_until(lambda: figures(terminal).get("dstream_rows_settled_total"), f"rows arrive:\n{terminal.shown}")
    pid = wait_until(lambda: getattr(own_sandbox.folder.running(), server, None), f"{server} runs")
    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    try:
        document = wait_until(lambda: ready(terminal)[0] == 503 and ready(terminal)[1], "not ready", timeout_s=20)
        assert document["phase"] == "reconnecting"
        assert re.search(r"(127\.0\.0\.1,\d+|localhost:\d+)( does not respond|: )", document["reason"])
        assert figures(terminal)["dstream_lag_seconds"] >= time.monotonic() - stopped_s - 3
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: ready(terminal)[0] == 200, f"ready again:\n{terminal.shown}")
    writer.finish()
    expected = recorded_changes(own_sandbox)
    wait_until(lambda: own_sandbox.active_messages("orders") >= len(expected), f"all arrive:\n{terminal.shown}")


def outage(sandbox: Sandbox, terminal: Terminal, writer: Writer, *, outage_s: float) -> None:
    wait_until(lambda: ready(terminal)[0] == 200, f"ready:\n{terminal.shown}")
    writer.write(300)
    wait_until(lambda: figures(terminal)["dstream_rows_settled_total"] > 0, "rows arrive")
    assert phase_of(terminal) == "streaming"

    sandbox.stop()
    down_s = time.monotonic()
    wait_until(lambda: ready(terminal)[0] == 503, "not ready")
    wait_until(lambda: terminal.last(LIVE_LAG), f"the live view:\n{terminal.shown}")

    wait_until(lambda: time.monotonic() >= down_s + outage_s, "the outage lasts", timeout_s=outage_s + 60)
    check_every_place(terminal, down_s)

    sandbox.start()
    wait_until(lambda: ready(terminal)[0] == 200, f"ready again:\n{terminal.shown}")
    writer.write(100)
    writer.finish()
    expected = recorded_changes(sandbox)
    wait_until(lambda: sandbox.active_messages("orders") >= len(expected), f"everything arrives:\n{terminal.shown}")
    wait_until(lambda: (figures(terminal)["dstream_lag_seconds"], phase_of(terminal)) == (0, "streaming"), "caught up")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.process.wait(60) == 0, terminal.shown
    compare(expected, sandbox.receive("orders", len(expected)), "after the outage", duplicate_detection=True)


def check_every_place(terminal: Terminal, down_s: float) -> None:
    """The condition is the same everywhere, and so is the lag, which is at least as long as the outage."""
    least_s = time.monotonic() - down_s

    code, document = ready(terminal)
    assert (code, document["phase"]) == (503, "reconnecting")
    assert "127.0.0.1" in document["reason"]

    assert phase_of(terminal) == "reconnecting"
    assert figures(terminal)["dstream_task_ready"] == 0
    assert figures(terminal)["dstream_lag_seconds"] >= least_s - 1

    live = ask_host(socket_path(terminal.folder / ".dstream" / "run", "dev", "orders"), "status")
    assert live is not None
    assert (live["phase"], live["ready"]) == ("reconnecting", False)
    assert live["lag_ms"] / 1000 >= least_s

    status = DStream(terminal.folder, terminal.env)("status", "orders", "--json")
    stream = json.loads(status.stdout)["tasks"][0]["stream"]["running"]
    assert (stream["phase"], "127.0.0.1" in stream["reason"]) == ("reconnecting", True)
    assert stream["lag_ms"] / 1000 >= least_s

    drawn = terminal.last(LIVE_LAG)
    assert drawn is not None, terminal.shown
    assert float(drawn[1]) * {"s": 1, "min": 60}[drawn[2]] >= least_s - (5 if drawn[2] == "s" else 35)

    assert re.search(r"run\.condition +task=orders phase=reconnecting was=(streaming|throttled)", terminal.shown)
    assert re.search(r"mssql\.reconnect +task=orders server=\S*127\.0\.0\.1", terminal.shown)


def ready(terminal: Terminal) -> tuple[int, dict[str, Any]]:
    try:
        with urlopen(terminal.url("/readyz"), timeout=60) as answer:
            return answer.status, json.load(answer)["tasks"]["orders"]
    except HTTPError as error:
        return error.code, json.load(error)["tasks"]["orders"]


def samples(terminal: Terminal) -> Iterator[Any]:
    with urlopen(terminal.url("/metrics"), timeout=60) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            yield from family.samples


def figures(terminal: Terminal) -> dict[str, float]:
    return {sample.name: sample.value for sample in samples(terminal) if "phase" not in sample.labels}


def phase_of(terminal: Terminal) -> str:
    """The phase, according to the metrics."""
    (phase,) = [
        sample.labels["phase"]
        for sample in samples(terminal)
        if sample.name == "dstream_task_condition" and sample.value
    ]
    return str(phase)
