"""The same rows in one table, and spread over 300 tables: more than fit in memory at a time."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Arm, Result, compare
from tests.bench.reading import PROVIDER, reading

ROWS = 36_000
TRANSACTIONS = 1800
TABLES = 300


def run() -> Result:
    names = [f"Busy{number}" for number in range(TABLES)]
    with source.sandbox("--replay-reads") as sandbox:
        for name in ("One", *names):
            source.create(sandbox, name)
        for tables in (["One"], names):
            source.fill_in_turn(sandbox, tables, ROWS, TRANSACTIONS)
        spread = f"{TABLES} tables"
        return compare(
            f"{ROWS:,} rows in {TRANSACTIONS:,} transactions",
            [
                Arm("one table", reading(sandbox, PROVIDER, ["dbo.One"], ROWS)),
                Arm(spread, reading(sandbox, PROVIDER, [f"dbo.{name}" for name in names], ROWS)),
            ],
            rounds=3,
            aims={spread: 0.5},
        )
