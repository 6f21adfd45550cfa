"""The whole reader over random histories of its source: every line equals the model's, byte for byte.

Snapshots are chunked or fenced. After a fenced one, a consumer that adds up changes is exact.
"""

from __future__ import annotations

import pytest

from tests.unit.mssql_cdc.reader_history import ReaderHistory


@pytest.mark.parametrize("block", range(8))
def test_the_lines_equal_the_model_whatever_happens_to_the_source(block: int) -> None:
    for seed in range(25 * block, 25 * block + 25):
        check(seed)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_lines_equal_the_model_in_thousands_of_histories() -> None:
    for seed in range(1000, 3000):
        check(seed)


def check(seed: int) -> None:
    try:
        ReaderHistory.random(seed).happen()
    except Exception as error:
        error.add_note(f"in history {seed}")
        raise
