"""As reader.py, with 40 columns."""

from __future__ import annotations

from tests.bench import source
from tests.bench.measure import Result
from tests.bench.reader import compared

ROWS = 40_000


def run() -> Result:
    return compared(source.WIDE_COLUMNS, ROWS)
