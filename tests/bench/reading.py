"""An input alone, into a pipe, timed from `ready` to the last line.

With `sandbox up --replay-reads`, the server remembers the answer to each batch, so that only the first round, which is
not measured, waits for the sandbox's engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.bench.measure import Sample, Watched
from tests.running import BIN, Sandbox

PROVIDER = (str(BIN / "dstream-mssql-cdc"),)
BARE = (sys.executable, "-P", str(Path(__file__).parent / "providers" / "bare_reader.py"))
_MIB = 1024 * 1024


def reading(
    sandbox: Sandbox, command: Sequence[str], tables: Sequence[str], rows: int, **settings: Any
) -> Callable[[], Sample]:
    """Each call reads `tables` from scratch. It fails unless they have `rows` changes."""
    config = {"db_connection_string": sandbox.env["MSSQL_CONNECTION_STRING"], "tables": tables, **settings}
    limits = {"once": True, "max_in_flight": 1 << 30, "max_in_flight_bytes": 1 << 40}
    line_1 = json.dumps({"command": "run", "config": config, "state": {}, "run": {"task": "b", "id": "b", **limits}})

    def read() -> Sample:
        running = sandbox.folder.running()
        assert running
        stand_in = Watched([running.sqlserver])
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "DSTREAM_PROTOCOL": "1"}
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(line_1.encode() + b'\n{"dstream":"welcome","protocol":1}\n')
        process.stdin.flush()
        while b'"ready"' not in process.stdout.readline():
            pass
        observed = psutil.Process(process.pid)
        cpu_before, stand_in_before = _cpu_s(observed), stand_in.cpu_s()
        started = time.perf_counter()
        found = _count(process.stdout.fileno())
        wall_s = time.perf_counter() - started
        sample = Sample(
            rows,
            wall_s,
            _cpu_s(observed) - cpu_before,
            observed.memory_info().rss / _MIB,
            stand_in.cpu_s() - stand_in_before,
        )
        process.stdin.close()
        process.wait()
        process.stdout.close()
        if found != rows:
            raise RuntimeError(f"received {found:,} of {rows:,} rows")
        return sample

    return read


def _count(descriptor: int) -> int:
    """Count the data lines up to the end line."""
    rows = 0
    tail = b""
    while chunk := os.read(descriptor, _MIB):
        rows += chunk.count(b'{"data":')
        joined = tail + chunk[:16]
        rows += joined.count(b'{"data":') - tail.count(b'{"data":') - chunk[:16].count(b'{"data":')
        tail = chunk[-7:]
        if b'{"dstream":"end"' in chunk[-200:]:
            break
    return rows


def _cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])
