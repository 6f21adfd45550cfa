"""From the COMMIT of a row to its line, at 1, 100 and 10,000 rows per second, compared with a bare loop of polls.

After a poll that finds nothing, the bare loop waits 1 s; `mssql_cdc` polls 1 s after its last poll with changes. So the
median is about half a second.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from tests.bench import source
from tests.bench.measure import Arm, Result, Sample, compare
from tests.bench.reading import PROVIDER
from tests.running import Sandbox

DURATIONS_S = {1: 30, 100: 10, 1_000: 10, 10_000: 10}
"""How long to write, by rows per second."""
RATES = (1, 100, 10_000)
COMMITS_PER_S = 10
BARE = (sys.executable, "-P", str(Path(__file__).parent / "providers" / "bare_poller.py"))
_ID = re.compile(rb'\{"data":\{"Id":(\d+)')


def run() -> Sequence[Result]:
    with source.sandbox() as sandbox:
        return [_compared(sandbox, rate) for rate in RATES]


@dataclass(slots=True)
class Latencies:
    """The latencies of one arm's rows in seconds, per run, and the rate that the writer reached in the last one."""

    runs_s: list[list[float]] = field(default_factory=list)
    rows_s: float = 0.0

    def add(self, seen_s: dict[int, float], committed_s: Sequence[float], rate: int) -> Sample:
        """Add a run: when each row was seen, and when each transaction was committed."""
        rows = rate // min(rate, COMMITS_PER_S)
        values_s = [seen - committed_s[(number - 1) // rows] for number, seen in seen_s.items()]
        self.rows_s = len(seen_s) / (committed_s[-1] - committed_s[0]) * (1 - 1 / len(committed_s))
        self.runs_s.append(values_s)
        return Sample(1, statistics.median(values_s))

    @property
    def text(self) -> str:
        values_s = list(chain(*self.runs_s[1:]))  # Of the runs that count.
        p50, p99 = statistics.median(values_s), statistics.quantiles(values_s, n=100)[98]
        return f"p50 {1000 * p50:,.0f} ms, p99 {1000 * p99:,.0f} ms at {self.rows_s:,.0f} rows/s"


def _compared(sandbox: Sandbox, rate: int) -> Result:
    found = {"bare loop of polls": Latencies(), "dstream-mssql-cdc": Latencies()}
    commands = dict(zip(found, (BARE, PROVIDER), strict=True))
    tables = iter(f"R{rate}N{number}" for number in range(100))
    arms = [Arm(name, partial(follow, sandbox, commands[name], rate, tables, found[name])) for name in found]
    result = compare(
        f"latency at {rate:,} rows/s (1 / median in seconds)", arms, rounds=1, aims={"dstream-mssql-cdc": 0.75}
    )
    result.note = "; ".join(f"{name}: {latencies.text}" for name, latencies in found.items())
    return result


def follow(sandbox: Sandbox, command: Sequence[str], rate: int, tables: Iterator[str], latencies: Latencies) -> Sample:
    """Write for the rate's duration and wait for the last line of the reader, which `command` starts."""
    table = next(tables)
    source.create(sandbox, table)
    config = {"db_connection_string": sandbox.env["MSSQL_CONNECTION_STRING"], "tables": [f"dbo.{table}"]}
    limits = {"max_in_flight": 1 << 30, "max_in_flight_bytes": 1 << 40}
    line_1 = json.dumps({"command": "run", "config": config, "state": {}, "run": {"task": "b", "id": "b", **limits}})
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "DSTREAM_PROTOCOL": "1"}
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(line_1.encode() + b'\n{"dstream":"welcome","protocol":1}\n')
    process.stdin.flush()
    while b'"ready"' not in process.stdout.readline():
        pass
    committed_s: list[float] = []
    writer = threading.Thread(target=write, args=(sandbox, table, rate, committed_s))
    seen_s: dict[int, float] = {}
    writer.start()
    while len(seen_s) < DURATIONS_S[rate] * rate:
        line = process.stdout.readline()
        now_s = time.perf_counter()
        if match := _ID.match(line):
            seen_s[int(match[1])] = now_s
    writer.join()
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    return latencies.add(seen_s, committed_s, rate)


def write(sandbox: Sandbox, table: str, rate: int, committed_s: list[float]) -> None:
    """Insert rows at random moments, so that they are not in step with the polls, and note when each was committed."""
    commits_per_s = min(rate, COMMITS_PER_S)
    rows = rate // commits_per_s
    chance = random.Random(rate)
    with closing(sandbox.connect()) as connection:
        began_s = time.perf_counter()
        for number in range(DURATIONS_S[rate] * commits_per_s):
            due_s = began_s + (number + chance.random()) / commits_per_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            series = f"GENERATE_SERIES({number * rows + 1}, {(number + 1) * rows})"
            connection.execute(source.insert(table, series)).close()
            committed_s.append(time.perf_counter())
