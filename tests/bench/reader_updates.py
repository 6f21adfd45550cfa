"""As reader.py, with updates: each line has the row before and after, from two change rows."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Result
from tests.bench.reader import compared

ROWS = 60_000


def run() -> Result:
    return compared(source.COLUMNS, ROWS, operation="update")
