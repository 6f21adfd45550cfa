"""SIGKILL of the publisher or the host while rows are packed: a consumer that drops repeated rows gets each row once, in
the order of its session.

The suite kills each of them twice; `make soak` kills 60 times. A failure prints its seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dstream.sdk.consume import Deduplicator, rows_of
from tests.chaos.stream import Stream
from tests.chaos.table_rows import TABLES
from tests.integration.servicebus.broker import Broker
from tests.running import DStream, wait_until

PROVIDERS = {"input": "table_rows", "output": "servicebus"}
VICTIMS = ("output", "host")
ROWS_PER_MESSAGE = 7
SOAK_ROUNDS = int(os.environ.get("SOAK_ROUNDS", "60"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
HCL = f"""
task "orders" {{
  restart {{
    initial_delay = "20ms"
    max_delay     = "1s"
  }}
  input {{
    provider_path = "{Path(__file__).parent / "table_rows.py"}"
  }}
  output {{
    provider = "servicebus"
    config {{
      connection_string = env("ASB_CONNECTION_STRING")
      queue             = "packs"
      session           = "table"
      packing {{
        rows_per_message = {ROWS_PER_MESSAGE}
      }}
    }}
  }}
}}
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path).start()
    yield broker
    broker.stop()


@pytest.mark.timeout(600)
def test_killing_a_publisher_that_packs_loses_no_row(broker: Broker, tmp_path: Path) -> None:
    rounds(broker, tmp_path, 2 * len(VICTIMS), detects_duplicates=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("detects_duplicates", [False, True])
def test_sixty_kills_of_a_publisher_that_packs_lose_no_row(
    broker: Broker, tmp_path: Path, detects_duplicates: bool
) -> None:
    rounds(broker, tmp_path, SOAK_ROUNDS, detects_duplicates=detects_duplicates)


def rounds(broker: Broker, folder: Path, count: int, *, detects_duplicates: bool) -> None:
    """Kill one of them `count` times, then compare what a consumer gets with the rows."""
    chance = random.Random(SEED)
    broker.create_queue(
        "packs", requires_session=True, requires_duplicate_detection=detects_duplicates, lock_duration="PT5M"
    )
    broker.fault(kind="delay", seconds=0.05)  # so that there is always something in flight
    (folder / "dstream.hcl").write_text(HCL)
    dstream = DStream(folder, {**os.environ, "ASB_CONNECTION_STRING": broker.connection_string})
    stream = Stream(dstream, PROVIDERS)
    try:
        for number in range(count):
            more_packs(broker, stream, chance.randrange(1, 60))
            stream.kill(VICTIMS[number % len(VICTIMS)])
        more_packs(broker, stream, 1)
        wait_until(stream.is_streaming, "the stream to run")
        stream.run.process.send_signal(signal.SIGTERM)
        assert stream.run.ended() == 0, stream.run.stderr
    finally:
        stream.stop()
    state = json.loads(dstream("state", "show", "orders", "--json").stdout)["checkpoint"]["state"]
    for first, table in enumerate(TABLES):
        delivered = len(range(first, state["next"], len(TABLES)))
        check(broker, table, first, delivered)


def more_packs(broker: Broker, stream: Stream, count: int) -> None:
    """Wait until the broker has stored that many more messages."""
    before = broker.counters()["messages"]

    def have_arrived() -> bool:
        stream.keep_running()
        return broker.counters()["messages"] >= before + count

    wait_until(have_arrived, f"more messages:\n{stream.run.stderr[-2000:]}")


def check(broker: Broker, table: str, first: int, delivered: int) -> None:
    """At least the rows before the checkpoint are there. A kill may leave others after it in the queue."""
    messages = broker.receive("packs", -(-delivered // ROWS_PER_MESSAGE), session_id=table)
    deduplicator = Deduplicator()
    handled: list[str] = []
    lines: dict[str, bytes] = {}
    for message in messages:
        packed = rows_of(message)
        assert all(lines.setdefault(row.id, row.line) == row.line for row in packed), f"other bytes (seed {SEED})"
        with deduplicator.new_rows(message) as new:
            handled += [row.id for row in new]
    assert len(handled) >= delivered, f"the checkpoint is ahead of the rows (seed {SEED})"
    expected = range(first, first + len(handled) * len(TABLES), len(TABLES))
    assert handled == [f"{table}/{number}" for number in expected], f"lost or out of order (seed {SEED})"
    assert len(messages) < len(handled), "nothing was packed"
