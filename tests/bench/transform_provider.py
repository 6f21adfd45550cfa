"""A task with a transform provider in the middle, compared with the same task without one.

Source and sink are those of `relay`: the source writes prepared lines, with a checkpoint every 1,000, and the sink counts
them. The host relays each line twice, and the third process splits, checks and writes it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Arm, Result, Sample, compare, used_by

ROWS = 500_000
PROVIDERS = Path(__file__).parent / "providers"

_HCL = f"""
task "bench" {{
  input {{
    provider_path = "{PROVIDERS / "source.py"}"
    config {{ rows = {ROWS} }}
  }}
  %s
  output {{
    provider_path = "{PROVIDERS / "sink.py"}"
    config {{}}
  }}
}}
"""
_MIDDLE = f"""
  transform {{
    provider_path = "{PROVIDERS / "middle.py"}"
    config {{ changes = %s }}
  }}
"""


def run() -> Result:
    arms = [
        Arm("no transform provider", lambda: _streamed("")),
        Arm("passes lines on", lambda: _streamed(_MIDDLE % "false")),
        Arm("changes a column of each row", lambda: _streamed(_MIDDLE % "true")),
    ]
    note = "Includes the start of the host and its providers."
    return compare("a transform provider, lines of 450 bytes", arms, rounds=5, note=note)


def _streamed(middle: str) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dstream.hcl").write_text(_HCL % middle)
        command = [str(Path(sys.executable).parent / "dstream"), "run", "bench", "--log-level", "error"]
        used = used_by(command, cwd=folder)
    return Sample(ROWS, used.wall_s, used.cpu_s, used.rss_mib)
