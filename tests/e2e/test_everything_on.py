"""Half an hour of a steady stream with everything on: nothing is lost, memory is flat, watching it costs little.

Two runs read the same changes at the same time, as a comparison: `plain` writes log lines only; `watched` also
has the live view on a terminal, the page requested each second, a Prometheus that scrapes it and evaluates the alerts,
and a standby. Both keep their checkpoints in Azurite and rows that are refused as dead letters.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from tests.bench import source
from tests.conftest import ROOT
from tests.e2e.prometheus import executable, scraping
from tests.e2e.terminal import at_a_terminal
from tests.integration.infra.azurite import KEY, Azurite, running_azurite
from tests.running import DStream, Sandbox, wait_until

SOAK_S = float(os.environ.get("SOAK_SECONDS", "1800"))
ROWS_S = int(os.environ.get("SOAK_ROWS_S", "1500"))
ROWS_PER_TRANSACTION = 150
REFUSAL_EVERY_S = 60
REFUSED_TRANSFERS = 20
"""In a row: a refused batch is sent again in halves, so this refuses some rows that are alone."""
GROWTH_MIB = 5.0
"""Over a quarter of an hour: less than a leak of 4 bytes per row, or of 6 KB per request of the page."""
WATCHING = 0.01
"""Share of a core, since live view, page and scrapes cost the same at any rate: in half an hour on a quiet machine, 0.27 %
of a core both at 1,500 and at 2,200 rows per second (SOAK_ROWS_S), which was 6.2 % and 5.0 % of what the run itself used.
"""
SCRAPED_EVERY = "5s"
PATIENCE_S = 300.0
ERASES = "A\x1b[J"
"""How the live view is redrawn."""

HCL = """
dstream {
  state {
    backend = "azblob"
    url     = "%s"
    lease   = "15s"
  }
  audit { file = "audit.jsonl" }
}
"""
TASK = """
task "{name}" {{
  input {{
    provider = "mssql_cdc"
    config {{
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Steady"]
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "{name}"
      on_error {{ refused = "dead_letter" }}
      dead_letter {{
        file     = "rejected-{name}.jsonl"
        max_rows = 1000000
      }}
    }}
  }}
}}
"""
TASKS = ("plain", "watched")


class Writer:
    """An application that inserts rows 1, 2, 3, .. at a steady rate until `finish`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.written = 0
        self._sandbox = sandbox
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def finish(self) -> int:
        self._ended.set()
        self._thread.join()
        return self.written

    def _write(self) -> None:
        begin = time.monotonic()
        with closing(self._sandbox.connect()) as connection:
            while not self._ended.wait(self.written / ROWS_S - (time.monotonic() - begin)):
                first, last = self.written + 1, self.written + ROWS_PER_TRANSACTION
                connection.execute(source.insert("Steady", f"GENERATE_SERIES({first}, {last})")).close()
                self.written = last


class Consumer:
    """Receives the rows of a queue and keeps which have not come in order, or more than once."""

    def __init__(self, sandbox: Sandbox, queue: str) -> None:
        self.due = 1
        self.missing: set[int] = set()
        self.repeats = 0
        self._stop = threading.Event()
        connection = sandbox.env["ASB_CONNECTION_STRING"]
        self._thread = threading.Thread(target=self._run, args=(connection, queue), daemon=True)
        self._thread.start()

    def has_all(self, last: int) -> bool:
        return self.due > last and not self.missing

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self, connection_string: str, queue: str) -> None:
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        options: dict[str, Any] = {"receive_mode": mode, "prefetch_count": 1000, "keep_alive": 0}
        with (
            ServiceBusClient.from_connection_string(connection_string) as client,
            client.get_queue_receiver(queue, **options) as receiver,
        ):
            while not self._stop.is_set():
                for message in receiver.receive_messages(1000, max_wait_time=0.5):
                    self._take(json.loads(b"".join(message.body))["data"]["Id"])

    def _take(self, number: int) -> None:
        if number >= self.due:
            self.missing.update(range(self.due, number))
            self.due = number + 1
        elif number in self.missing:
            self.missing.remove(number)
        else:
            self.repeats += 1


@dataclass
class Observed:
    """The processes of a run: its host and its providers."""

    name: str
    host: psutil.Process
    memory_mib: dict[str, list[float]] = field(default_factory=dict)
    """By process: one figure per second."""

    def __post_init__(self) -> None:
        roles = {"mssql": "input", "servicebus": "output"}
        self.processes = {"host": self.host}
        for child in self.host.children():
            role = next((roles[word] for word in roles if word in " ".join(child.cmdline())), "other")
            self.processes[role] = child

    def sample(self) -> None:
        for role, process in self.processes.items():
            self.memory_mib.setdefault(f"{self.name} {role}", []).append(process.memory_info().rss / 2**20)

    def cpu_s(self) -> dict[str, float]:
        return {role: sum(process.cpu_times()[:2]) for role, process in self.processes.items()}


def grown_mib(memory: list[float]) -> float:
    """How much more a process uses in the last quarter of the time than in the second one; the first is warm-up."""
    quarter = max(1, len(memory) // 4)
    return statistics.median(memory[-quarter:]) - statistics.median(memory[quarter : 2 * quarter])


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[Azurite]:
    with running_azurite(tmp_path) as azurite:
        yield azurite


def address_of(shown: str) -> str:
    found = re.search(r"(http://127\.0\.0\.1:\d+)/", shown)
    assert found
    return found[1]


def figures(base: str, task: str) -> dict[str, Any]:
    with urlopen(f"{base}/figures.json", timeout=60) as answer:
        return next(each for each in json.load(answer)["tasks"] if each["task"] == task)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 3 * PATIENCE_S)
def test_a_watched_stream_loses_nothing_in_flat_memory_and_costs_little_more(
    own_sandbox: Sandbox, azurite: Azurite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if executable("prometheus") is None:
        pytest.skip("Prometheus is not installed; `make tools` installs it on Debian")
    (tmp_path / "dstream.hcl").write_text(
        HCL % azurite.container().address + "".join(TASK.format(name=name) for name in TASKS)
    )
    dstream = DStream(tmp_path, {**own_sandbox.env, "AZURE_STORAGE_KEY": KEY})
    for name in TASKS:
        own_sandbox.create_queue(name, requires_duplicate_detection=True)
    source.create(own_sandbox, "Steady")

    with ExitStack() as stack:
        consumers = [stack.enter_context(closing(Consumer(own_sandbox, name))) for name in TASKS]
        plain = stack.enter_context(dstream.running("run", "plain", "--plain"))
        watched = stack.enter_context(at_a_terminal(dstream, "run", "watched", "--metrics", "127.0.0.1:0"))
        for run in (plain, watched):
            run.says("run.started")
        options = ("run", "watched", "--standby", "--metrics", "127.0.0.1:0")
        standby = stack.enter_context(at_a_terminal(dstream, *options))
        standby.says("lease.waiting")
        base = address_of(watched.shown)
        rules = (ROOT / "examples/observability/alerts.yml").read_text()
        prometheus = stack.enter_context(scraping(base.removeprefix("http://"), rules, tmp_path, SCRAPED_EVERY))
        runs = {
            name: Observed(name, psutil.Process(pid))
            for name, pid in (
                ("plain", plain.process.pid),
                ("watched", watched.process.pid),
                ("standby", standby.process.pid),
            )
        }
        writer = Writer(own_sandbox)
        wait_until(lambda: figures(base, "watched")["rows_settled"], "the first rows")

        cpu_s: dict[str, dict[str, float]] = {}
        alerts: set[str] = set()
        worst_lag_s, warm_rows, begin_s = 0.0, 0, time.monotonic()
        warm_s = begin_s
        for second in range(1, int(SOAK_S) + 1):
            time.sleep(max(0.0, begin_s + second - time.monotonic()))  # the rate of the requests
            worst_lag_s = max(worst_lag_s, figures(base, "watched")["lag_s"] or 0.0)
            for each in runs.values():
                each.sample()
            if second == int(SOAK_S) // 4:
                cpu_s = {name: runs[name].cpu_s() for name in TASKS}
                warm_rows, warm_s = writer.written, time.monotonic()
            if second % REFUSAL_EVERY_S == REFUSAL_EVERY_S // 4:
                for name in TASKS:
                    own_sandbox.fault(
                        kind="reject", condition="com.microsoft:argument-error", entity=name, times=REFUSED_TRANSFERS
                    )
                alerts |= {alert for alert, _ in prometheus.firing()}
        used_s = {name: {role: s - cpu_s[name][role] for role, s in runs[name].cpu_s().items()} for name in TASKS}
        rows, measured_s = writer.written - warm_rows, time.monotonic() - warm_s
        assert prometheus.query('rate(dstream_rows_settled_total{task="watched"}[1m]) > 0'), (
            "Prometheus has the figures"
        )
        assert figures(base, "watched")["restarts"] == 0
        assert watched.shown.count(ERASES) > SOAK_S / 4, "the live view is redrawn"

        watched.process.send_signal(signal.SIGTERM)
        assert watched.ended() == 0, watched.shown[-4000:]
        standby.says("run.started")
        before = writer.written
        wait_until(lambda: writer.written > before + 2 * ROWS_S, "rows after the takeover")
        last = writer.finish()
        own_sandbox.fault(clear=True)
        wait_until(lambda: all(each.due > last for each in consumers), "all rows", PATIENCE_S)
        refused = {name: replayed(dstream, name) for name in TASKS}
        wait_until(
            lambda: all(each.has_all(last) for each in consumers),
            f"the rows of the dead letters: {[len(each.missing) for each in consumers]} are missing",
        )
        standby.process.send_signal(signal.SIGTERM)
        plain.process.send_signal(signal.SIGTERM)
        assert (standby.ended(), plain.ended()) == (0, 0), plain.stderr[-4000:]
    assert [each.repeats for each in consumers] == [0, 0]
    verified = dstream("audit", "verify", "audit.jsonl")
    assert verified.returncode == 0, verified.stderr

    more_s = sum(used_s["watched"].values()) - sum(used_s["plain"].values())
    memory = {name: figures for each in runs.values() for name, figures in each.memory_mib.items()}
    growth = {name: grown_mib(figures) for name, figures in memory.items()}
    report = [
        f"{last:,} rows, {refused} refused and replayed, worst lag {worst_lag_s:.1f} s, alerts {sorted(alerts)}",
        *(f"CPU time for {rows:,} rows, {name}: {shown(used_s[name])}" for name in TASKS),
        f"watching: {more_s / measured_s:+.2%} of a core, {more_s / sum(used_s['plain'].values()):+.1%} of what the run uses",
        *(f"memory of {name}, grown by {growth[name]:+.1f} MiB: {over_time(memory[name])}" for name in memory),
    ]
    with capsys.disabled():
        print("", *report, sep="\n")  # noqa: T201 - the soak's output
    assert max(growth.values()) < GROWTH_MIB
    assert more_s / measured_s < WATCHING
    assert alerts <= {"DStreamRowsRejected"}


def replayed(dstream: DStream, task: str) -> int:
    """Replay the dead letters; return how many there were."""
    kept = dstream.cwd / f"rejected-{task}.jsonl"
    count = len(kept.read_bytes().splitlines()) if kept.exists() else 0
    assert count, "the refusals left no dead letters"
    done = dstream("deadletter", "replay", task)
    assert done.returncode == 0, done.stderr
    return count


def shown(used_s: Mapping[str, float]) -> str:
    return ", ".join(f"{role} {seconds:.1f} s" for role, seconds in used_s.items())


def over_time(memory: list[float]) -> str:
    return ", ".join(f"{mib:.1f}" for mib in memory[:: max(1, len(memory) // 10)])
