"""Every fault at every moment on every kind of entity: nothing is lost, the order of each session holds, repeats have the
same id, and there are none with duplicate detection.

The suite runs a covering subset; `make soak` runs the whole matrix and prints the times to recover.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable

import pytest
from dstream_servicebus.publish import sender

from tests.integration.servicebus.broker import Broker
from tests.integration.servicebus.fault_cells import (
    FAULTS,
    KINDS,
    MOMENTS,
    Cell,
    covering_cells,
    every_cell,
    withstand_all,
)


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "GRACE_S", 0.3)


def test_no_fault_loses_or_reorders_rows(stormy: Broker, new_name: Callable[[], str]) -> None:
    cells = list(covering_cells())
    assert {cell.fault for cell in cells} == set(FAULTS)
    assert {(cell.moment, cell.detects_duplicates) for cell in cells} == {
        (m, d) for m in MOMENTS for d in (False, True)
    }
    assert {(cell.kind, cell.detects_duplicates) for cell in cells} == {(k, d) for k in KINDS for d in (False, True)}

    withstand_all(stormy, cells, new_name)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_fault_at_any_moment_loses_or_reorders_rows(
    stormy: Broker, new_name: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    recovered = withstand_all(stormy, list(every_cell()), new_name)

    with capsys.disabled():
        print(_table(recovered))  # noqa: T201 - the soak's output


def _table(recovered: dict[Cell, float]) -> str:
    """The times to recover per fault and moment: median and maximum in seconds."""
    times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for cell, seconds in recovered.items():
        times[cell.fault, cell.moment].append(seconds)
    lines = [f"\n{'time to recover, or to stop (s)':<40}{'median':>8}{'max':>8}"]
    for (fault, moment), found in times.items():
        lines.append(f"{f'{fault}, {moment}':<52}{statistics.median(found):>8.2f}{max(found):>8.2f}")
    return "\n".join(lines)
