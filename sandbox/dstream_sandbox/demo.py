"""`dstream demo`: DStream from plan to destroy on the sandbox, with real output, checked by an independent consumer.

This module only runs DStream's commands, as a user would. It checks the stream by comparing SQL Server's change tables
with the messages from the queue, and the infrastructure by listing the queues of the namespace.
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
from dstream_sandbox.errors import SandboxError
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
@click.option(
    "--rows",
    type=click.IntRange(min=100),
    default=10_000,
    show_default=True,
    help="Minimum number of rows to change; the last transaction is completed.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dstream/demo"),
    show_default=True,
    help="Data folder; deleted first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object on stdout.")
def demo(rows: int, data: Path, *, as_json: bool) -> None:
    """Show DStream end to end on the sandbox: plan and create a queue, stream SQL Server changes into it despite a
    kill -9, detect and fix drift, and tear everything down.

    Exits with 1 if a change is lost, repeated or out of order, or if a command fails.
    """
    data = data.resolve()
    if data.exists() and any(data.iterdir()) and not (data / "sandbox").is_dir():
        raise click.BadParameter(f"{data} holds something else, and the demo would delete it", param_hint="--data")
    shutil.rmtree(data, ignore_errors=True)
    folder = Folder(data / "sandbox")
    story = _Story(click.style)
    try:
        with _sandbox(folder, story) as settings:
            figures = _Demo(data, folder, settings, story).tell(rows)
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(asdict(figures)) if as_json else figures.table())
    if figures.failed:
        sys.exit(1)


@dataclass(slots=True)
class Figures:
    """Compares the changes in SQL Server with the messages that an independent consumer received from the queue."""

    rows_changed: int = 0
    messages_received: int = 0
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    rows_s: float = 0.0
    lag_ms_median: float = 0.0
    lag_ms_worst: float = 0.0
    infrastructure_ok: bool = True
    """Whether plan, init, status and destroy worked as expected."""
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
            ("infrastructure", "as expected" if self.infrastructure_ok else "NOT as expected"),
            ("lag", f"{self.lag_ms_median:,.0f} ms median, {self.lag_ms_worst:,.0f} ms worst (including the kill)"),
        ]
        return "\n".join(f"  {name:<18} {value:>10}" for name, value in lines)


class _Story:
    """Prints a heading per chapter to stderr, with indented lines below it."""

    def __init__(self, style: Any) -> None:
        self._style = style

        # Before each text: `dstream run` may have drawn its status line.
        self._erase = "\r\x1b[K" if sys.stderr.isatty() else ""

    def chapter(self, text: str) -> None:
        click.echo(self._erase + self._style(f"\n{text}", bold=True), err=True)

    def line(self, text: str) -> None:
        click.echo(f"{self._erase}  {text}", err=True)


@contextlib.contextmanager
def _sandbox(folder: Folder, story: _Story) -> Iterator[Settings]:
    story.chapter("Start a local SQL Server and Service Bus: dstream sandbox up")
    supervisor = Supervisor(folder)
    settings = supervisor.settings
    supervisor.start()
    try:
        story.line(f"SQL Server on 127.0.0.1:{settings.sql_port}, Service Bus on 127.0.0.1:{settings.amqp_port}")
        yield settings
    except KeyboardInterrupt:
        story.line("Stopping the sandbox.")
        raise
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
        if not figures.infrastructure_ok:
            return figures
        consumer = Consumer(self._settings, _QUEUE)
        with contextlib.closing(clients.connect(self._settings)) as connection:
            load = workload.Load(connection, seed=7)
            started = time.monotonic()
            self._stream_through_a_kill(load, rows, consumer)
            expected = self._expected()
            self._story.chapter("Wait for delivery")
            consumer.wait_for(len(expected), _DRAIN_S)
            figures.rows_s = len(expected) / (consumer.last_at - started)
        consumer.stop()
        self._check(figures, expected, sorted(consumer.arrived))
        self._drift_and_fix(figures)
        self._tear_down(figures)
        return figures

    def _prepare(self) -> None:
        self._story.chapter("Create tables with change data capture")
        with contextlib.closing(clients.connect(self._settings)) as connection:
            workload.create_tables(connection)
        self._story.line(f"{', '.join(_TABLES)}; no queue yet")
        self._hcl.write_text(_HCL)
        self._story.chapter("dstream.hcl")
        for line in _HCL.splitlines():
            self._story.line(line)

    def _provision(self, figures: Figures) -> None:
        self._tell(figures, "Preview the changes: dstream plan orders", "plan", "orders")
        self._tell(figures, "Create the queue: dstream init orders", "init", "orders", "--yes")
        figures.infrastructure_ok &= _QUEUE in self._queues()

    def _drift_and_fix(self, figures: Figures) -> None:
        with clients.administration(self._folder, self._settings) as administration:
            queue = administration.get_queue(_QUEUE)
            queue.max_delivery_count = 77
            administration.update_queue(queue)
        self._story.chapter("Someone sets the maximum delivery count of the queue to 77 outside DStream")
        self._tell(
            figures,
            "Detect the drift: dstream status orders",
            "status",
            "orders",
            "--detailed-exitcode",
            expected_code=2,
        )
        self._tell(figures, "Fix the drift: dstream init orders", "init", "orders", "--yes")
        figures.infrastructure_ok &= self._queues()[_QUEUE] != 77

    def _tear_down(self, figures: Figures) -> None:
        self._tell(figures, "Tear everything down: dstream destroy orders", "destroy", "orders", "--yes")
        figures.infrastructure_ok &= _QUEUE not in self._queues()

    def _tell(self, figures: Figures, title: str, *arguments: str, expected_code: int = 0) -> None:
        """Run a command and show its output."""
        self._story.chapter(title)
        done = subprocess.run(
            self._command(*arguments),
            cwd=self._data,
            env={**self._environment(), "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        for line in done.stdout.strip("\n").splitlines():
            self._story.line(line)
        if done.returncode != expected_code:
            self._story.line(f"exited with {done.returncode}, expected {expected_code}")
            figures.infrastructure_ok = False

    def _queues(self) -> dict[str, int | None]:
        """The queues of the namespace and their maximum delivery counts."""
        with clients.administration(self._folder, self._settings) as administration:
            return {queue.name: queue.max_delivery_count for queue in administration.list_queues()}

    def _stream_through_a_kill(self, load: workload.Load, rows: int, consumer: Consumer) -> None:
        pool = ThreadPoolExecutor(1, "load")
        self._story.chapter("Stream while an application writes: dstream run orders")
        first = self._run()
        writing = pool.submit(load.run, rows)
        consumer.wait_for(max(50, rows // 20), _DRAIN_S)
        first.kill()
        first.wait()
        self._story.line(
            f"kill -9 {first.pid} after {load.written.total:,} changed rows; the application keeps writing"
        )
        self._story.chapter("Resume: dstream run orders")
        second = self._run()
        changed = writing.result()
        streamed = sum(changed.changes[table] for table in _TABLES)
        self._story.line(
            f"{changed.total:,} rows changed in {changed.transactions:,} transactions, "
            f"{streamed:,} of them in the two streamed tables"
        )
        self._second = second

    def _run(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command("run", "orders"), cwd=self._data, env=self._environment(), stdin=subprocess.DEVNULL
        )

    def _command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "dstream"), *arguments]

    def _environment(self) -> dict[str, str]:
        ours = {**os.environ, **environment(self._folder, self._settings, os.environ)}
        ours.pop("DSTREAM_CONFIG", None)  # the demo's dstream.hcl is in the folder that its commands run in
        return ours

    def _expected(self) -> list[Position]:
        """Every change that SQL Server recorded, in commit order: the change tables without before images."""
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
        self._story.line(f"SIGTERM: the stream drained and exited with {code}")
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
