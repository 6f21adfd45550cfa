"""Whether the rate depends on checkpoints: the same rows in one transaction, and in one transaction per row."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Arm, Result, compare
from tests.bench.streaming import streaming

ROWS = 10_000


def run() -> Result:
    with source.sandbox("--replay-reads", "--sink") as sandbox:
        for table in ("Together", "Apart"):
            source.create(sandbox, table)
            sandbox.create_queue(table)
        source.fill(sandbox, "Together", ROWS)
        source.fill_one_by_one(sandbox, "Apart", ROWS)
        return compare(
            f"dstream run, {ROWS:,} rows",
            [
                Arm("one transaction", streaming(sandbox, "Together", ROWS)),
                Arm(f"{ROWS:,} transactions", streaming(sandbox, "Apart", ROWS)),
            ],
            rounds=5,
            aims={f"{ROWS:,} transactions": 0.5},
        )
