"""`dstream demo`: the main job told on the sandbox, with real output, and checked by an independent consumer.

DStream is only executed here, as a user would; the check knows what SQL Server's change tables hold and what came out
of the queue, nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import click

from dstream_sandbox import clients, workload
from dstream_sandbox.environment import environment
from dstream_sandbox.folder import Folder, Settings
from dstream_sandbox.supervisor import Supervisor

Position = tuple[str, int, str, int]
"""LSN, command id, sequence value, operation: where a change stands in the log."""

Arrival = tuple[int, Position, float]
"""The message's sequence number in the queue, which is the order in which it was published; its change's position; and
milliseconds from the commit of the change until a consumer had it."""

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
    """The whole story on the sandbox: changes in SQL Server, a stream, a kill -9, a resume, and a check.

    Exits with 1 when a change was lost, came twice or came out of order.
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
    schema_version: int = 1

    @property
    def failed(self) -> bool:
        return bool(self.lost or self.repeated or self.out_of_order or not self.messages_received)

    def table(self) -> str:
        lines = [
            ("rows changed", f"{self.rows_changed:,}"),
            ("messages received", f"{self.messages_received:,}"),
            ("lost", f"{self.lost:,}"),
            ("repeated", f"{self.repeated:,}"),
            ("out of order", f"{self.out_of_order:,}"),
            ("rows/s", f"{self.rows_s:,.0f}"),
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
        consumer = _Consumer(self._settings)
        figures = Figures()
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
        return figures

    def _prepare(self) -> None:
        self._story.chapter("Tables with change data capture, and a queue with duplicate detection")
        with contextlib.closing(clients.connect(self._settings)) as connection:
            workload.create_tables(connection)
        with clients.administration(self._folder, self._settings) as administration:
            administration.create_queue(_QUEUE, requires_duplicate_detection=True)
        self._story.line(f"{', '.join(_TABLES)} → queue {_QUEUE}")
        self._hcl.write_text(_HCL)
        self._story.chapter("dstream.hcl")
        for line in _HCL.splitlines():
            self._story.line(line)

    def _stream_through_a_kill(self, load: workload.Load, rows: int, consumer: _Consumer) -> None:
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
        command = [str(Path(sys.executable).parent / "dstream"), "run", "orders"]
        env = {**os.environ, **environment(self._folder, self._settings, os.environ)}
        return subprocess.Popen(command, cwd=self._data, env=env, stdin=subprocess.DEVNULL)

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


@dataclass(slots=True)
class _Consumer:
    """Takes messages off the queue as they come, with azure-servicebus alone."""

    settings: Settings
    arrived: list[Arrival] = field(default_factory=list)
    last_at: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _came: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._receive, name="consumer", daemon=True)
        self._thread.start()

    def wait_for(self, count: int, timeout_s: float) -> None:
        """Until `count` messages have come, or none came for `timeout_s`."""
        with self._came:
            while len(self.arrived) < count and self._came.wait(timeout_s):
                pass

    def stop(self) -> None:
        """After what is still on its way: more than expected must show, too."""
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _receive(self) -> None:
        from azure.servicebus import ServiceBusReceiveMode

        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with clients.servicebus(self.settings) as client:
            receiver = client.get_queue_receiver(_QUEUE, receive_mode=mode, prefetch_count=500)
            with receiver:
                while True:
                    batch = receiver.receive_messages(max_message_count=500, max_wait_time=1)
                    if not batch and self._ended.is_set():
                        return
                    self._take(batch)

    def _take(self, batch: list[Any]) -> None:
        now = time.time()
        for message in batch:
            metadata = json.loads(b"".join(message.body))["metadata"]
            position = metadata["LSN"], metadata["CommandId"] or 0, metadata["Seq"], metadata["OperationID"]
            lag_ms = (now - _seconds(metadata["CommitTime"])) * 1000
            self.arrived.append((message.sequence_number, position, lag_ms))
        if batch:
            with self._came:
                self.last_at = time.monotonic()
                self._came.notify_all()


def _seconds(commit_time: str) -> float:
    """A commit time as the change tables have it: the server's local time, and the server is this machine."""
    return datetime.fromisoformat(commit_time).timestamp()
