"""`dstream demo`: the whole story told on the sandbox, with real output, and checked by an independent consumer.

DStream is only executed here, as a user would. The check of the stream knows what SQL Server's change tables hold and
what came out of the queue; that of the infrastructure asks the namespace which queues there are.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from dstream_sandbox import clients, workload
from dstream_sandbox.consumer import Arrival, Consumer, Position
from dstream_sandbox.environment import environment
from dstream_sandbox.folder import Folder, Settings
from dstream_sandbox.supervisor import Supervisor

_QUEUE = "orders"
_TABLES = ("dbo.Orders", "dbo.OrderLines")
_DRAIN_S = 60.0
_HCL = """\
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables               = ["dbo.Orders", "dbo.OrderLines"]
      poll_interval        = "100ms"
    }
  }
  output {
    provider = "servicebus"
    config {
      connection_string       = env("ASB_CONNECTION_STRING")
      admin_connection_string = env("ASB_ADMIN_CONNECTION_STRING")
      resource_group          = env("ASB_RESOURCE_GROUP")
      namespace               = env("ASB_NAMESPACE")
      queue                   = "orders"
    }
  }
}
"""


@click.command(epilog="\b\nExample:\n  dstream demo --rows 20000")
@click.option("--rows", type=click.IntRange(min=100), default=10_000, show_default=True, help="Change so many rows.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path(".dstream/demo"), show_default=True, help="Made afresh."
)
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object on stdout.")
def demo(rows: int, data: Path, *, as_json: bool) -> None:
    """The whole story on the sandbox: a queue is planned and made, changes of SQL Server are streamed into it through a
    kill -9, drift is found and healed, and all of it is torn down.

    Exits with 1 when a change was lost, came twice or came out of order, or a command did not do what it should.
    """
    data = data.resolve()
    shutil.rmtree(data, ignore_errors=True)
    folder = Folder(data / "sandbox")
    story = _Story(click.style)
    with _sandbox(folder, story) as settings:
        figures = _Demo(data, folder, settings, story).tell(rows)
    click.echo(json.dumps(asdict(figures)) if as_json else figures.table())
    if figures.failed:
        sys.exit(1)


@dataclass(slots=True)
class Figures:
    """What was written, and what an independent consumer found in the queue."""

    rows_changed: int = 0
    messages_received: int = 0
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    rows_s: float = 0.0
    lag_ms_median: float = 0.0
    lag_ms_worst: float = 0.0
    infrastructure_ok: bool = True
    """plan, init, status and destroy did and found what they should."""
    schema_version: int = 1

    @property
    def failed(self) -> bool:
        has_streamed = bool(self.messages_received) and not (self.lost or self.repeated or self.out_of_order)
        return not (has_streamed and self.infrastructure_ok)

    def table(self) -> str:
        lines = [
            ("rows changed", f"{self.rows_changed:,}"),
            ("messages received", f"{self.messages_received:,}"),
            ("lost", f"{self.lost:,}"),
            ("repeated", f"{self.repeated:,}"),
            ("out of order", f"{self.out_of_order:,}"),
            ("rows/s", f"{self.rows_s:,.0f}"),
            ("infrastructure", "as it should be" if self.infrastructure_ok else "NOT as it should be"),
            ("lag", f"{self.lag_ms_median:,.0f} ms median, {self.lag_ms_worst:,.0f} ms worst (the kill included)"),
        ]
        return "\n".join(f"  {name:<18} {value:>10}" for name, value in lines)


class _Story:
    """One line a chapter on stderr, indented lines for what happens in it."""

    def __init__(self, style: Any) -> None:
        self._style = style

    def chapter(self, text: str) -> None:
        click.echo(self._style(f"\n{text}", bold=True), err=True)

    def line(self, text: str) -> None:
        click.echo(f"  {text}", err=True)


@contextlib.contextmanager
def _sandbox(folder: Folder, story: _Story) -> Iterator[Settings]:
    story.chapter("A SQL Server and a Service Bus on this machine: dstream sandbox up")
    supervisor = Supervisor(folder)
    settings = supervisor.settings
    supervisor.start()
    try:
        story.line(f"SQL Server on 127.0.0.1:{settings.sql_port}, Service Bus on 127.0.0.1:{settings.amqp_port}")
        yield settings
    finally:
        supervisor.stop()


class _Demo:
    def __init__(self, data: Path, folder: Folder, settings: Settings, story: _Story) -> None:
        self._data = data
        self._folder = folder
        self._settings = settings
        self._story = story
        self._hcl = data / "dstream.hcl"

    def tell(self, rows: int) -> Figures:
        self._prepare()
        figures = Figures()
        self._provision(figures)
        consumer = Consumer(self._settings, _QUEUE)
        with contextlib.closing(clients.connect(self._settings)) as connection:
            load = workload.Load(connection, seed=7)
            started = time.monotonic()
            self._stream_through_a_kill(load, rows, consumer)
            expected = self._expected()
            self._story.chapter("Everything must arrive")
            consumer.wait_for(len(expected), _DRAIN_S)
            figures.rows_s = len(expected) / (consumer.last_at - started)
        consumer.stop()
        self._check(figures, expected, sorted(consumer.arrived))
        self._drift_and_heal(figures)
        self._tear_down(figures)
        return figures

    def _prepare(self) -> None:
        self._story.chapter("Tables with change data capture")
        with contextlib.closing(clients.connect(self._settings)) as connection:
            workload.create_tables(connection)
        self._story.line(f"{', '.join(_TABLES)}; there is no queue yet")
        self._hcl.write_text(_HCL)
        self._story.chapter("dstream.hcl")
        for line in _HCL.splitlines():
            self._story.line(line)

    def _provision(self, figures: Figures) -> None:
        self._tell(figures, "What would be made: dstream plan orders", "plan", "orders")
        self._tell(figures, "Make it: dstream init orders", "init", "orders", "--yes")
        figures.infrastructure_ok &= _QUEUE in self._queues()

    def _drift_and_heal(self, figures: Figures) -> None:
        with clients.administration(self._folder, self._settings) as administration:
            queue = administration.get_queue(_QUEUE)
            queue.max_delivery_count = 77
            administration.update_queue(queue)
        self._story.chapter("Somebody sets the queue's maximum delivery count to 77, outside DStream")
        self._tell(figures, "dstream status orders", "status", "orders", "--detailed-exitcode", expected_code=2)
        self._tell(figures, "Heal it: dstream init orders", "init", "orders", "--yes")
        figures.infrastructure_ok &= self._queues()[_QUEUE] != 77

    def _tear_down(self, figures: Figures) -> None:
        self._tell(figures, "Tear down: dstream destroy orders", "destroy", "orders", "--yes")
        figures.infrastructure_ok &= _QUEUE not in self._queues()

    def _tell(self, figures: Figures, title: str, *arguments: str, expected_code: int = 0) -> None:
        """Run a command and show what it prints."""
        self._story.chapter(title)
        done = subprocess.run(
            self._command(*arguments),
            cwd=self._data,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        for line in done.stdout.strip("\n").splitlines():
            self._story.line(line)
        if done.returncode != expected_code:
            self._story.line(f"exit code {done.returncode}, not {expected_code}")
            figures.infrastructure_ok = False

    def _queues(self) -> dict[str, int | None]:
        """The namespace's queues and their maximum delivery counts."""
        with clients.administration(self._folder, self._settings) as administration:
            return {queue.name: queue.max_delivery_count for queue in administration.list_queues()}

    def _stream_through_a_kill(self, load: workload.Load, rows: int, consumer: Consumer) -> None:
        pool = ThreadPoolExecutor(1, "load")
        self._story.chapter("dstream run orders, while an application writes")
        first = self._run()
        writing = pool.submit(load.run, rows)
        consumer.wait_for(max(50, rows // 20), _DRAIN_S)
        first.kill()
        first.wait()
        self._story.line(f"kill -9 {first.pid} after {load.written.total:,} changed rows; the application writes on")
        self._story.chapter("dstream run orders, again")
        second = self._run()
        changed = writing.result()
        streamed = sum(changed.changes[table] for table in _TABLES)
        self._story.line(
            f"{changed.total:,} rows changed in {changed.transactions:,} transactions, "
            f"{streamed:,} of them in the two tables that are streamed"
        )
        self._second = second

    def _run(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command("run", "orders"), cwd=self._data, env=self._environment(), stdin=subprocess.DEVNULL
        )

    def _command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "dstream"), *arguments]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **environment(self._folder, self._settings, os.environ)}

    def _expected(self) -> list[Position]:
        """Every change that SQL Server recorded, in commit order: each row of the change tables but before images."""
        positions = []
        with contextlib.closing(clients.connect(self._settings)) as connection:
            for table in _TABLES:
                capture = table.replace(".", "_")
                positions += [
                    (row[0].hex(), row[1] or 0, row[2].hex(), row[3])
                    for row in connection.execute(
                        "SELECT [__$start_lsn], [__$command_id], [__$seqval], [__$operation]"
                        f" FROM cdc.[{capture}_CT] WHERE [__$operation] <> 3"
                    )
                ]
        return sorted(positions)

    def _check(self, figures: Figures, expected: list[Position], arrived: list[Arrival]) -> None:
        self._second.terminate()
        code = self._second.wait(_DRAIN_S)
        self._story.line(f"SIGTERM: the stream drained and ended with exit code {code}")
        seen: set[Position] = set()
        firsts = []
        for _, position, _ in arrived:
            if position not in seen:
                firsts.append(position)
            seen.add(position)
        figures.rows_changed = len(expected)
        figures.messages_received = len(arrived)
        figures.lost = len(set(expected) - seen)
        figures.repeated = len(arrived) - len(seen)
        figures.out_of_order = sum(later < earlier for earlier, later in itertools.pairwise(firsts))
        lags = [lag for _, _, lag in arrived] or [0.0]
        figures.lag_ms_median, figures.lag_ms_worst = median(lags), max(lags)
