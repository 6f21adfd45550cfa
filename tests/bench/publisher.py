"""The Service Bus output alone, fed from a pipe, compared with the SDK's documented loop in its own process.

Both send to a broker in sink mode, which counts messages but stores none, and are timed from `ready` to the ack of the
last line. CPU is that of the sending process, which gives its microseconds per message.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.bench.measure import Arm, Result, Sample, compare
from tests.integration.servicebus.broker import Broker

SDK_ROWS = 15_000
ROWS = 200_000
MIB = 1024 * 1024

_SDK_LOOP = ["-P", str(Path(__file__).parent / "providers" / "sdk_loop.py")]
"""-P: the folder has a copy.py, which must not shadow the standard library's."""


def run() -> Result:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder), "--sink").start()
        broker.create_queue("bench")
        try:
            return compare(
                "publisher, lines of 450 bytes",
                [
                    Arm("azure-servicebus, add_message loop", sending(broker, _SDK_LOOP, SDK_ROWS)),
                    Arm("dstream-servicebus", sending(broker, ["-m", "dstream_servicebus"], ROWS)),
                ],
                rounds=3,
                aims={"dstream-servicebus": 14},
                note=f"One sender each. {SDK_ROWS:,} rows per round for the loop, {ROWS:,} for dstream-servicebus.",
            )
        finally:
            broker.stop()


def sending(
    broker: Broker,
    program: list[str],
    rows: int,
    rows_per_message: int = 1,
    keys: Sequence[int] | None = None,
    **settings: Any,
) -> Callable[[], Sample]:
    """Return a run that sends `rows` rows. Of packs, up to 5 % may be smaller than `rows_per_message`. `keys`: of the
    rows; default: all different."""
    lines = b"".join(map(_line, range(rows), keys or range(rows)))
    end = b'{"dstream":"checkpoint","seq":1,"n":%d}\n' % rows

    def run() -> Sample:
        with _started(broker, program, settings) as process:
            observed = psutil.Process(process.pid)
            before, stand_in_before = _cpu_s(observed), broker.counters()
            started = time.perf_counter()
            feeding = threading.Thread(target=_feed, args=(process, lines + end))
            feeding.start()
            _wait_for(process, "dstream", "ack")
            wall_s = time.perf_counter() - started
            stand_in = broker.counters()
            feeding.join()
            received = stand_in["messages"] - stand_in_before["messages"]
            expected = rows / rows_per_message
            if not expected <= received <= (expected if rows_per_message == 1 else 1.05 * expected):
                raise RuntimeError(f"the broker received {received:,.0f} of {expected:,.0f} messages")
            return Sample(
                rows,
                wall_s,
                _cpu_s(observed) - before,
                observed.memory_info().rss / MIB,
                stand_in["cpu_s"] - stand_in_before["cpu_s"],
            )

    return run


@contextmanager
def _started(broker: Broker, program: list[str], settings: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    config = {"connection_string": broker.connection_string, "queue": "bench", **settings}
    command = {"command": "run", "config": config}
    with subprocess.Popen(
        [sys.executable, *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "", "DSTREAM_PROTOCOL": "1"},
    ) as process:
        _feed(process, json.dumps(command).encode() + b"\n")
        _wait_for(process, "status", "ready")
        yield process
        process.kill()


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin
    process.stdin.write(data)
    process.stdin.flush()


def _wait_for(process: subprocess.Popen[bytes], key: str, value: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get(key) == value:
            return
    raise RuntimeError(f"the process exited with {process.wait()}")


def _cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


def _line(number: int, key: int) -> bytes:
    data = {"Id": key, "Name": "Ada Lovelace", "City": "y" * 60, "Note": "z" * 120}
    metadata = {
        "V": 1,
        "TableName": "dbo.Persons",
        "OperationType": "Insert",
        "OperationID": 2,
        "LSN": "0000002a000000180022",
        "Key": ["Id"],
        "Id": f"d8a1f00d/245575913/0000002a000000180022/1/{number:020x}/2",
    }
    return json.dumps({"data": data, "metadata": metadata}, separators=(",", ":")).encode() + b"\n"
