"""The host's relay alone, compared with a process that copies one pipe to another in the same chunks.

Both arms use the same source and sink: the source writes prepared lines of 450 bytes, the sink counts newlines. Under
the host, the source adds a checkpoint every 1,000 lines and the sink acknowledges it; the baseline has no checkpoints.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, Usage, compare, used_by

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


def run() -> Result:
    arms = [Arm("pipe copy (os.read, os.write)", _copied), Arm("dstream run", _relayed)]
    note = "Both count what the sink received. `dstream run` includes host startup and both handshakes."
    return compare("relay, lines of 450 bytes", arms, rounds=5, aims={"dstream run": 0.65}, note=note)


def _copied() -> Sample:
    command = (
        f"{sys.executable} {PROVIDERS / 'source.py'} {ROWS} | {sys.executable} {PROVIDERS / 'copy.py'}"
        f" | {sys.executable} {PROVIDERS / 'sink.py'} {ROWS}"
    )
    return _sample(used_by(["bash", "-o", "pipefail", "-c", command]))


def _relayed() -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(HCL)
        command = [str(Path(sys.executable).parent / "dstream"), "run", "relay", "--log-level", "error"]
        return _sample(used_by(command, cwd=folder))


def _sample(used: Usage) -> Sample:
    return Sample(ROWS, used.wall_s, used.cpu_s, used.rss_mib)
