"""The rows of a table, compared with one SELECT of pyodbc and msgspec."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Arm, Result, compare
from tests.bench.reading import BARE, PROVIDER, reading

ROWS = 100_000


def run() -> Result:
    with source.sandbox("--replay-reads") as sandbox:
        source.create_uncaptured(sandbox, "T")
        source.fill(sandbox, "T", ROWS)
        source.capture(sandbox, "T")
        return compare(
            f"snapshot, {len(source.COLUMNS)} columns, {ROWS:,} rows",
            [
                Arm("bare SELECT + msgspec loop", reading(sandbox, BARE, ["dbo.T"], ROWS, start_from="snapshot")),
                Arm("dstream-mssql-cdc", reading(sandbox, PROVIDER, ["dbo.T"], ROWS, start_from="snapshot")),
            ],
            rounds=3,
            aims={"dstream-mssql-cdc": 0.6},
            note="The bare loop reads with one SELECT and no key order, and cannot resume.",
        )
