"""From the COMMIT of a row to its receipt from the queue, at 1, 100 and 1,000 rows per second.

`dstream run` with both providers, and a consumer with Microsoft's SDK; compared with a bare loop of polls, which only
reads. After a poll that finds nothing, the bare loop waits 1 s; `mssql_cdc` polls 1 s after its last poll with changes,
and every 2 s if nothing has come for a while.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from tests.bench import source
from tests.bench.latency import BARE, DURATIONS_S, Latencies, follow, write
from tests.bench.measure import Arm, Result, Sample, compare
from tests.bench.streaming import HCL
from tests.running import DStream, Sandbox

RATES = (1, 100, 1_000)


def run() -> Sequence[Result]:
    with source.sandbox() as sandbox:
        return [_compared(sandbox, rate) for rate in RATES]


def _compared(sandbox: Sandbox, rate: int) -> Result:
    found = {"bare loop of polls, reading only": Latencies(), "dstream run, to the consumer": Latencies()}
    tables = iter(f"D{rate}N{number}" for number in range(100))
    bare, piped = found.values()
    arms = [
        Arm(next(iter(found)), partial(follow, sandbox, BARE, rate, tables, bare)),
        Arm(list(found)[1], partial(_deliver, sandbox, rate, tables, piped)),
    ]
    result = compare(f"commit to receipt at {rate:,} rows/s (1 / median in seconds)", arms, rounds=1)
    result.note = "; ".join(f"{name}: {latencies.text}" for name, latencies in found.items())
    return result


def _deliver(sandbox: Sandbox, rate: int, tables: Iterator[str], latencies: Latencies) -> Sample:
    table = next(tables)
    source.create(sandbox, table)
    sandbox.create_queue(table)
    committed_s: list[float] = []
    seen_s: dict[int, float] = {}
    writer = threading.Thread(target=write, args=(sandbox, table, rate, committed_s))
    with TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(HCL.format(table=table))
        with (
            DStream(Path(folder), sandbox.env).running("run", "bench") as stream,
            _receiving(sandbox, table) as numbers,
        ):
            stream.says("run.started")
            writer.start()
            while len(seen_s) < DURATIONS_S[rate] * rate:
                seen_s.setdefault(next(numbers), time.perf_counter())
            writer.join()
            stream.process.terminate()
            stream.ended()
    return latencies.add(seen_s, committed_s, rate)


@contextmanager
def _receiving(sandbox: Sandbox, queue: str) -> Iterator[Iterator[int]]:
    """The numbers of the rows in the queue, as they arrive. A batch would wait 0.2 s for more (azure-servicebus)."""
    mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    with (
        ServiceBusClient.from_connection_string(sandbox.env["ASB_CONNECTION_STRING"]) as client,
        client.get_queue_receiver(queue, receive_mode=mode, prefetch_count=1000) as receiver,
    ):
        yield (json.loads(b"".join(message.body))["data"]["Id"] for message in receiver)
