"""How long short commands take as whole processes, compared with a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, compare

_HCL = """
task "orders" {
  input {
    provider = "counter"
    config {}
  }
  output {
    provider = "console"
    config {}
  }
}
"""


def run() -> Result:
    dstream = str(Path(sys.executable).parent / "dstream")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(_HCL)

        def arm(name: str, command: Sequence[str]) -> Arm:
            return Arm(name, lambda: _whole(command, folder))

        arms = [
            arm("bare interpreter", [sys.executable, "-c", "pass"]),
            arm("dstream version", [dstream, "version"]),
            arm("dstream --help", [dstream, "--help"]),
            arm("dstream list", [dstream, "list"]),
            arm("dstream validate", [dstream, "validate"]),
        ]
        aims = {"dstream version": 1 / 8, "dstream --help": 1 / 8, "dstream list": 1 / 25, "dstream validate": 1 / 25}
        return compare("short commands, whole process (runs per second)", arms, rounds=15, aims=aims)


def _whole(command: Sequence[str], folder: str) -> Sample:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Sample(1, time.perf_counter() - started)
