"""The SQL Server input alone, into a pipe, compared with a bare loop of pyodbc and msgspec: changes, and a snapshot.

Both read prepared pages and are timed from `ready` to the last line. With `sandbox up --replay-reads`, the server
remembers the answer to each statement; the first round, which is not measured, fills that memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.bench import source
from tests.bench.measure import Arm, Result, Sample, Watched, compare
from tests.running import BIN, Sandbox

ROWS = 200_000
MIB = 1024 * 1024
_SNAPSHOT = "dstream-mssql-cdc, snapshot"
_BARE = str(Path(__file__).parent / "providers" / "bare_reader.py")


def run() -> Result:
    with source.sandbox("--replay-reads") as sandbox:
        source.create(sandbox, "Wide")
        source.fill(sandbox, "Wide", ROWS)
        return compare(
            f"reader, {len(source.COLUMNS)} columns, {ROWS:,} inserts in one transaction",
            [
                Arm("bare pyodbc + msgspec loop", _reading(sandbox, [sys.executable, "-P", _BARE])),
                Arm("dstream-mssql-cdc", _reading(sandbox, [str(BIN / "dstream-mssql-cdc")])),
                Arm(_SNAPSHOT, _reading(sandbox, [str(BIN / "dstream-mssql-cdc")], start_from="snapshot")),
            ],
            rounds=3,
            aims={"dstream-mssql-cdc": 0.6, _SNAPSHOT: 0.6},
            note="The bare loop writes data and three metadata fields; no merging, gap checks or position; it reads changes, not the table.",
        )


def _reading(sandbox: Sandbox, command: list[str], **settings: str) -> Callable[[], Sample]:
    config = {"db_connection_string": sandbox.env["MSSQL_CONNECTION_STRING"], "tables": ["dbo.Wide"], **settings}
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
        rows = _count(process.stdout.fileno())
        wall_s = time.perf_counter() - started
        sample = Sample(
            rows,
            wall_s,
            _cpu_s(observed) - cpu_before,
            observed.memory_info().rss / MIB,
            stand_in.cpu_s() - stand_in_before,
        )
        process.stdin.close()
        process.wait()
        process.stdout.close()
        if rows != ROWS:
            raise RuntimeError(f"received {rows:,} of {ROWS:,} rows")
        return sample

    return read


def _count(descriptor: int) -> int:
    """Count the data lines up to the end line."""
    rows = 0
    tail = b""
    while chunk := os.read(descriptor, MIB):
        rows += chunk.count(b'{"data":')
        joined = tail + chunk[:16]
        rows += joined.count(b'{"data":') - tail.count(b'{"data":') - chunk[:16].count(b'{"data":')
        tail = chunk[-7:]
        if b'{"dstream":"end"' in chunk[-200:]:
            break
    return rows


def _cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])
