"""The whole pipeline, compared with one process that uses pyodbc, msgspec and the SDK's add_message loop."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench import source
from tests.bench.measure import Arm, Result, Sample, Watched, compare, used_by
from tests.bench.streaming import streaming
from tests.running import Sandbox

ROWS = 50_000
_BARE = str(Path(__file__).parent / "providers" / "bare_stream.py")


def run() -> Result:
    with source.sandbox("--replay-reads", "--sink") as sandbox:
        source.create(sandbox, "Wide")
        source.fill(sandbox, "Wide", ROWS)
        sandbox.create_queue("Wide")
        return compare(
            f"end to end, {ROWS:,} rows of {len(source.COLUMNS)} columns",
            [
                Arm("one process, no checkpoints", lambda: _bare(sandbox)),
                Arm("dstream run", streaming(sandbox, "Wide", ROWS)),
            ],
            rounds=3,
            note="`dstream run`: memory of the host, CPU of the host and its providers. The bare loop cannot resume.",
        )


def _bare(sandbox: Sandbox) -> Sample:
    running = sandbox.folder.running()
    assert running
    stand_ins = Watched([running.sqlserver, running.servicebus])
    used = used_by([sys.executable, "-P", _BARE], env=sandbox.env, stand_ins=stand_ins)
    summary = json.loads(used.stdout)
    if summary["rows"] != ROWS:
        raise RuntimeError(f"{summary['rows']} of {ROWS} rows: {summary}")
    return Sample(ROWS, summary["wall_s"], used.cpu_s, used.rss_mib, used.stand_in_cpu_s)
