"""`dstream run --once` from one table into the queue of the same name, timed from both providers ready to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import Sample, Watched, used_by
from tests.running import BIN, Sandbox

HCL = """
task "bench" {{
  input {{
    provider = "mssql_cdc"
    config {{
      db_connection_string = env("MSSQL_CONNECTION_STRING")
      tables = ["dbo.{table}"]
    }}
  }}
  output {{
    provider = "servicebus"
    config {{
      connection_string = env("ASB_CONNECTION_STRING")
      queue = "{table}"
    }}
  }}
}}
"""


def streaming(sandbox: Sandbox, table: str, rows: int) -> Callable[[], Sample]:
    """Each call starts from scratch, without a checkpoint."""
    command = [str(BIN / "dstream"), "run", "bench", "--once", "--json", "--log-level", "error"]

    def stream() -> Sample:
        with TemporaryDirectory() as folder:
            (Path(folder) / "dstream.hcl").write_text(HCL.format(table=table))
            running = sandbox.folder.running()
            assert running
            stand_ins = Watched([running.sqlserver, running.servicebus])
            used = used_by(command, cwd=folder, env=sandbox.env, stand_ins=stand_ins)
            summary = json.loads(used.stdout)
            if summary["rows"] != rows:
                raise RuntimeError(f"{summary['rows']} of {rows} rows: {summary}")
            return Sample(rows, rows / summary["rows_s"], used.cpu_s, used.rss_mib, used.stand_in_cpu_s)

    return stream
