"""How soon a provider writes its first line, compared with the start of a bare interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, compare

BIN = Path(sys.executable).parent


def run() -> Result:
    counter = [sys.executable, "-m", "dstream.sdk.examples.counter"]
    arms = [
        Arm("bare interpreter", lambda: _first_line([sys.executable, "-c", "print(1)"])),
        Arm("dstream-mssql-cdc", lambda: _first_line([str(BIN / "dstream-mssql-cdc")])),
        Arm("dstream-servicebus", lambda: _first_line([str(BIN / "dstream-servicebus")])),
        Arm("counter (config in the same file)", lambda: _first_line(counter)),
    ]
    aims = {"dstream-mssql-cdc": 0.25, "dstream-servicebus": 0.25}
    return compare("first line of a provider (starts per second)", arms, rounds=15, aims=aims)


def _first_line(command: Sequence[str]) -> Sample:
    env = {**os.environ, "DSTREAM_PROTOCOL": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    assert process.stdout
    assert process.stdout.readline()
    wall_s = time.perf_counter() - started
    process.communicate()
    return Sample(1, wall_s)
