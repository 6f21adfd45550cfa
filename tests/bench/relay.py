"""The host's relay alone, compared with a process that copies one pipe to another in the same chunks.

All arms use the same source and sink: the source writes prepared lines of 450 bytes, the sink counts newlines. Under
the host, the source adds a checkpoint every 1,000 lines and the sink acknowledges it; the baseline has no checkpoints.
One arm exports traces and metrics to a receiver in another process, whose CPU time is that of the stand-ins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, Usage, Watched, compare, used_by

ROWS = 2_000_000
PROVIDERS = Path(__file__).parent / "providers"

HCL = f"""
task "relay" {{
  input {{
    provider_path = "{PROVIDERS / "source.py"}"
    config {{ rows = {ROWS} }}
  }}
  output {{
    provider_path = "{PROVIDERS / "sink.py"}"
    config {{}}
  }}
}}
"""
RECEIVER = """
import json, sys
from tests.otlp import Receiver
with Receiver() as receiver:
    print(json.dumps(receiver.environ), flush=True)
    sys.stdin.read()
"""


def run() -> Result:
    with _receiver() as (environ, watched):
        arms = [
            Arm("pipe copy (os.read, os.write)", _copied),
            Arm("dstream run", _relayed),
            Arm("dstream run, telemetry exported", partial(_relayed, environ, watched)),
        ]
        note = (
            "All count what the sink received. `dstream run` includes host startup and both handshakes,\n"
            "  and with telemetry the import of OpenTelemetry's SDK, about 0.6 s of CPU time."
        )
        aims = {"dstream run": 0.65, "dstream run, telemetry exported": 0.5}
        return compare("relay, lines of 450 bytes", arms, rounds=5, aims=aims, note=note)


@contextmanager
def _receiver() -> Iterator[tuple[Mapping[str, str], Watched]]:
    """What makes a command export to a receiver of OTLP, and its process."""
    command = [sys.executable, "-c", RECEIVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        environ = json.loads(process.stdout.readline())
        yield {**os.environ, **environ}, Watched([process.pid])


def _copied() -> Sample:
    command = (
        f"{sys.executable} {PROVIDERS / 'source.py'} {ROWS} | {sys.executable} {PROVIDERS / 'copy.py'}"
        f" | {sys.executable} {PROVIDERS / 'sink.py'} {ROWS}"
    )
    return _sample(used_by(["bash", "-o", "pipefail", "-c", command]))


def _relayed(environ: Mapping[str, str] | None = None, stand_ins: Watched | None = None) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(HCL)
        command = [str(Path(sys.executable).parent / "dstream"), "run", "relay", "--log-level", "error"]
        return _sample(used_by(command, cwd=folder, env=environ, stand_ins=stand_ins))


def _sample(used: Usage) -> Sample:
    return Sample(ROWS, used.wall_s, used.cpu_s, used.rss_mib, used.stand_in_cpu_s)
