"""The progress line of `run`: the condition, the figures of all tasks, and the reason where it may be cut."""

from __future__ import annotations

import io

import pytest

from dstream.cli.view.progress import RunLog, progress_line
from dstream.host import Condition, Progress

STREAMING = Progress(
    rows_relayed=7_919, rows_settled=7_907, condition=Condition("streaming", is_ready=True), lag_ms=400
)
LOST = Progress(rows_settled=10, condition=Condition("reconnecting", "input mssql_cdc: db1: refused"), lag_ms=12_345)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_one_task_shows_its_condition_and_the_reason_last() -> None:
    assert progress_line([STREAMING], 336.4) == (
        "streaming   lag 0.4 s   336 rows/s   7,907 acknowledged   12 in flight"
    )
    assert progress_line([LOST], 0).endswith("in flight   input mssql_cdc: db1: refused")


def test_several_tasks_are_counted_by_condition() -> None:
    assert progress_line([STREAMING, LOST, STREAMING], 0) == (
        "2 streaming, 1 reconnecting   lag 12.3 s   0 rows/s   15,824 acknowledged   14 in flight"
    )


def test_a_new_condition_is_drawn_at_once_and_fits_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    screen = Screen()
    log = RunLog(screen, level="info", log_format="text")
    log.of("a").progress(STREAMING)
    log.of("b")
    log.of("a").progress(LOST)
    drawn = [line for line in screen.getvalue().split("\r\x1b[K") if line]
    assert [line.split("   ")[0] for line in drawn] == ["streaming", "1 starting, 1 reconnecting"]
    assert all(len(line) < 50 for line in drawn)
