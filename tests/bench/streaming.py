"""`dstream run --once` over one table into the queue of its name, timed from both providers ready to the end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measure import Sample, Watched
from tests.running import BIN, Sandbox

_HCL = """
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
    """Each call starts anew: without a checkpoint."""
    command = [str(BIN / "dstream"), "run", "bench", "--once", "--json", "--log-level", "error"]

    def stream() -> Sample:
        with TemporaryDirectory() as folder:
            (Path(folder) / "dstream.hcl").write_text(_HCL.format(table=table))
            running = sandbox.folder.running()
            assert running
            stand_ins = Watched([running.sqlserver, running.servicebus])
            before = stand_ins.cpu_s()
            process = subprocess.Popen(command, cwd=folder, env=sandbox.env, stdout=subprocess.PIPE)
            assert process.stdout
            summary = json.loads(process.stdout.read())
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode or summary["rows"] != rows:
                raise RuntimeError(f"exit code {process.returncode}, {summary}")
            cpu_s = usage.ru_utime + usage.ru_stime
            return Sample(rows, rows / summary["rows_s"], cpu_s, usage.ru_maxrss / 1024, stand_ins.cpu_s() - before)

    return stream
