"""Rows per second into a namespace that is limited to 1,000 messages per second, as Standard is, with and without packing.

Microsoft: "Throttling operations on Azure Service Bus". The sandbox's fault `throttle` counts messages as the service
counts credits for sending; the credits for receiving are left out of both arms.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.bench.measure import Arm, Result, compare
from tests.bench.publisher import sending
from tests.integration.servicebus.broker import Broker

ROWS_PER_MESSAGE = 10
MESSAGES = 5_000

_PUBLISHER = ["-m", "dstream_servicebus"]


def run() -> Result:
    packing = {"rows_per_message": ROWS_PER_MESSAGE}
    rows = MESSAGES * ROWS_PER_MESSAGE
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder)).start()
        broker.create_queue("bench")
        broker.fault(kind="throttle", rate=1000)
        try:
            return compare(
                "publisher at 1,000 messages/s, lines of 450 bytes",
                [
                    Arm("one row per message", sending(broker, _PUBLISHER, MESSAGES)),
                    Arm("10 rows per message", sending(broker, _PUBLISHER, rows, ROWS_PER_MESSAGE, packing=packing)),
                ],
                rounds=2,
                aims={"10 rows per message": 8},
                note=f"{MESSAGES:,} messages per round in both arms: {MESSAGES:,} rows, and {rows:,} rows packed.",
            )
        finally:
            broker.stop()
