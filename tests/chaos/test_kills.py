"""SIGKILL of any process at a random moment under load: nothing is lost, and repeats have the same id and bytes.

The suite kills each process once; `make soak` kills two hundred times. A failure prints its seed, to be repeated with
SOAK_SEED and SOAK_ROUNDS.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from pathlib import Path

import psutil
import pytest
from dstream_sandbox import workload

from tests.chaos.application import Writer, compare, recorded_changes
from tests.running import DStream, Message, RunningCommand, Sandbox, wait_until

PROVIDERS = {"input": "mssql", "output": "servicebus"}
VICTIMS = ("input", "output", "host", "servicebus", "sqlserver")
ROUNDS = len(VICTIMS)
SOAK_ROUNDS = int(os.environ.get("SOAK_ROUNDS", "200"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
RECONNECT_S = 60.0
STREAMING_SHARE = 0.8
"""The share of kills that wait until rows flow; the others can hit any phase of the start."""

HCL = """
task "orders" {
  input {
    provider = "mssql_cdc"
    config {
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.Customers", "dbo.Orders", "dbo.OrderLines"]
      poll_interval = "50ms"
    }
  }
  output {
    provider = "servicebus"
    config {
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "%s"
    }
  }
}
"""


class Stream:
    """`dstream run`, started again whenever it exits, as a service manager would. It restarts its own providers."""

    def __init__(self, dstream: DStream) -> None:
        self._dstream = dstream
        self._stack = contextlib.ExitStack()
        self.run: RunningCommand = self._start()

    def _start(self) -> RunningCommand:
        return self._stack.enter_context(self._dstream.running("run", "orders"))

    def kill(self, role: str) -> None:
        """Send SIGKILL to one of its processes. Repeat until the kill ended it, and not something else just before."""
        kill = self._kill_host if role == "host" else self._kill_provider
        while not kill(PROVIDERS.get(role, "")):
            self.keep_running()

    def _kill_host(self, _: str) -> bool:
        process = self.run.process
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: process.poll() is not None, "the host to exit")
        self.keep_running()
        return process.returncode == -signal.SIGKILL

    def _kill_provider(self, name: str) -> bool:
        pid, run = self._provider(name), self.run
        restarts, kill_restarts = _restarts(run), _restarts(run, "SIGKILL")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: _restarts(run) > restarts or run.process.poll() is not None,
            f"the host to notice the death of its {name}:\n{run.stderr}",
        )
        # A run exits on its own only if it never started, because a server was down.
        assert run.process.poll() is None or (run.process.returncode == 6 and "run.started" not in run.stderr), (
            run.stderr
        )
        return _restarts(run, "SIGKILL") > kill_restarts

    def _provider(self, name: str) -> int:
        """The provider's pid, once it has started."""

        def find() -> int:
            self.keep_running()
            with contextlib.suppress(psutil.NoSuchProcess, StopIteration):
                return self.run.child(name).pid
            return 0

        pid: int = wait_until(find, f"a process of {name}")
        return pid

    def keep_running(self) -> None:
        if self.run.process.poll() is not None:
            self.run = self._start()

    def is_streaming(self) -> bool:
        self.keep_running()
        said = self.run.stderr
        return max(said.rfind("run.started"), said.rfind("run.restarted")) > said.rfind("run.restarting")

    def stop(self) -> None:
        self._stack.close()


def _restarts(run: RunningCommand, cause: str = "") -> int:
    """How often the run has begun to restart its providers, for that cause."""
    return sum("run.restarting" in line and cause in line for line in run.stderr.splitlines())


@pytest.mark.parametrize("duplicate_detection", [False, True], ids=["plain queue", "duplicate detection"])
@pytest.mark.timeout(600)
def test_killing_each_process_loses_nothing(own_sandbox: Sandbox, tmp_path: Path, duplicate_detection: bool) -> None:
    rounds(own_sandbox, tmp_path, ROUNDS, SEED, duplicate_detection=duplicate_detection)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing(own_sandbox: Sandbox, tmp_path: Path) -> None:
    rounds(own_sandbox, tmp_path, SOAK_ROUNDS, SEED, duplicate_detection=False)


def rounds(sandbox: Sandbox, folder: Path, count: int, seed: int, *, duplicate_detection: bool) -> None:
    """Kill a process `count` times while an application writes, then compare the queue with the change tables."""
    chance = random.Random(seed)
    sandbox.create_queue("chaos", requires_duplicate_detection=duplicate_detection)
    with contextlib.closing(sandbox.connect()) as connection:
        workload.create_tables(connection)
    (folder / "dstream.hcl").write_text(HCL % "chaos")
    dstream = DStream(folder, sandbox.env)
    writer = Writer(sandbox, seed)
    received: list[Message] = []
    stream = Stream(dstream)
    try:
        for number in range(count):
            victim = VICTIMS[number % len(VICTIMS)]
            # Delayed answers, so that there is always something in flight that a kill could lose.
            wait_until(lambda: _slow_down(sandbox), "the broker to be back")
            if chance.random() < STREAMING_SHARE:
                wait_until(stream.is_streaming, "the stream to run")
            writer.write(chance.randrange(50, 500))
            if victim in ("servicebus", "sqlserver"):
                sandbox.kill(victim)
            else:
                stream.kill(victim)
        writer.finish()
        expected = recorded_changes(sandbox)
        received += _receive_all(sandbox, stream, len(expected))
    finally:
        writer.finish()
        stream.stop()
    compare(expected, received, f"seed {seed}", duplicate_detection=duplicate_detection)


def _slow_down(sandbox: Sandbox) -> bool:
    try:
        sandbox.fault(clear=True)
        sandbox.fault(kind="delay", seconds=0.1)
    except OSError:
        return False  # killed a moment ago
    return True


def _receive_all(sandbox: Sandbox, stream: Stream, count: int) -> list[Message]:
    """Receive until `count` different messages have arrived, and any repeats. No wait may exceed the reconnect time."""
    received: dict[str, Message] = {}
    everything: list[Message] = []

    def some() -> bool:
        stream.keep_running()
        batch = sandbox.receive("chaos", 0, idle_s=1.0)
        received.update((message.id, message) for message in batch)
        everything.extend(batch)
        return bool(batch)

    sandbox.fault(clear=True)
    while len(received) < count:
        wait_until(some, f"more than {len(received)} of {count} changes:\n{stream.run.stderr[-4000:]}", RECONNECT_S)
    return everything + sandbox.receive("chaos", 0, idle_s=2.0)
