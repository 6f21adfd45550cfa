"""SIGKILL of any process at a random moment under load: nothing is lost, and repeats have the same id and bytes.

The suite kills each process once; `make soak` kills two hundred times. A failure prints its seed, to be repeated with
SOAK_SEED and SOAK_ROUNDS.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest
from dstream_sandbox import workload

from tests.chaos.application import Writer, compare, recorded_changes
from tests.chaos.stream import Stream
from tests.running import DStream, Message, Sandbox, wait_until

PROVIDERS = {"input": "mssql", "output": "servicebus"}
"""Words in the command lines of the providers."""
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
    stream = Stream(dstream, PROVIDERS)
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
