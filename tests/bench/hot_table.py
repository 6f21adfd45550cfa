"""One busy table alone, and among 499 quiet ones."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Arm, Result, compare
from tests.bench.reading import PROVIDER, reading

ROWS = 50_000
TRANSACTIONS = 500
QUIET = 499


def run() -> Result:
    with source.sandbox("--replay-reads") as sandbox:
        source.create(sandbox, "Hot")
        for number in range(QUIET):
            source.create(sandbox, f"Quiet{number}")
        source.fill_in_turn(sandbox, ["Hot"], ROWS, TRANSACTIONS)
        among = f"among {QUIET} quiet tables"
        return compare(
            f"a table with {ROWS:,} rows in {TRANSACTIONS:,} transactions",
            [
                Arm("alone", reading(sandbox, PROVIDER, ["dbo.Hot"], ROWS)),
                Arm(among, reading(sandbox, PROVIDER, ["dbo.*"], ROWS)),
            ],
            rounds=3,
            aims={among: 0.9},
        )
