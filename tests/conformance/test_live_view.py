"""`dstream run` on a terminal draws its figures below the log, unless `--plain` is given. Real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.commands import Place

ERASES = "A\x1b[J"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.task(output="console")
    return place


def test_a_terminal_gets_the_live_view_and_keeps_only_the_log(place: Place) -> None:
    code, shown = place.at_a_terminal(b"", "run", "t")
    assert code == 0, shown
    assert "counter → console" in shown
    assert "○ finished" in shown
    *_, last = shown.split(ERASES)
    assert "acknowledged" not in last, "it is erased at the end"
    assert "run.finished" in shown


def test_plain_writes_lines_only(place: Place) -> None:
    code, shown = place.at_a_terminal(b"", "run", "t", "--plain")
    assert code == 0, shown
    assert "run.finished" in shown
    assert ERASES not in shown
    assert "acknowledged" not in shown
