"""The changes of one table, compared with a bare loop of pyodbc and msgspec: inserts of 14 columns."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench import source
from tests.bench.measure import Arm, Result, compare
from tests.bench.reading import BARE, PROVIDER, reading

ROWS = 100_000
_NOTE = "The bare loop writes data and three metadata fields; no merging, gap checks or position."


def run() -> Result:
    return compared(source.COLUMNS, ROWS)


def compared(columns: Sequence[source.BenchColumn], rows: int, *, operation: str = "insert") -> Result:
    """Read `rows` inserts, or as many updates, of a table with these columns."""
    with source.sandbox("--replay-reads") as sandbox:
        source.create_uncaptured(sandbox, "T", columns)
        if operation == "insert":
            source.capture(sandbox, "T")
        source.fill(sandbox, "T", rows, columns=columns)
        if operation == "update":
            source.capture(sandbox, "T")
            sandbox.sql("UPDATE dbo.T SET Status = 'returned', Price = Price + 1")
        return compare(
            f"reader, {len(columns)} columns, {rows:,} {operation}s in one transaction",
            [
                Arm("bare pyodbc + msgspec loop", reading(sandbox, BARE, ["dbo.T"], rows)),
                Arm("dstream-mssql-cdc", reading(sandbox, PROVIDER, ["dbo.T"], rows)),
            ],
            rounds=3,
            aims={"dstream-mssql-cdc": 0.75},
            note=_NOTE,
        )
