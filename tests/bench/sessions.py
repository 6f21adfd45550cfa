"""The Service Bus output with a session per row's key, compared with no sessions. As in `publisher.py`.

The keys are skewed: of 10,000, the first has 8 % of the rows, the first hundred half. A send contains one session,
so this measures how many sends the output manages.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.bench.measure import Arm, Result, compare
from tests.bench.publisher import sending
from tests.integration.servicebus.broker import Broker

ROWS = 50_000
SESSIONS = 10_000
_PUBLISHER = ["-m", "dstream_servicebus"]


def run() -> Result:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder), "--sink").start()
        broker.create_queue("bench")
        keys = skewed_keys(ROWS, SESSIONS)
        try:
            return compare(
                f"sessions, {ROWS:,} lines of 450 bytes, {SESSIONS:,} skewed keys",
                [
                    Arm("no sessions", sending(broker, _PUBLISHER, ROWS, keys=keys)),
                    Arm('session = "table"', sending(broker, _PUBLISHER, ROWS, keys=keys, session="table")),
                    Arm('session = "key"', sending(broker, _PUBLISHER, ROWS, keys=keys, session="key")),
                ],
                rounds=3,
                note="The broker is in the same machine: over a network, each send also waits for its round trip.",
            )
        finally:
            broker.stop()


def skewed_keys(count: int, keys: int) -> list[int]:
    """Log-uniform: each power of ten has the same share of the rows. Always the same ones."""
    chance = random.Random(1)
    return [int(keys ** chance.random()) for _ in range(count)]
