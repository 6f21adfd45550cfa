"""The live view fits on the terminal, and shows what matters first. tests/unit/cli/screens shows what it looks like."""

from __future__ import annotations

import io

import pytest

from dstream.cli.view.live import amount, live_view, size, span, width
from dstream.cli.view.progress import RunLog
from dstream.host import MetricValue, Progress
from dstream.telemetry.health import RunsWatch
from tests.watched import STREAMING, THROTTLED, Clock, load, throttled, twenty, watching


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("rows", [6, 24, 50])
@pytest.mark.parametrize("columns", [30, 80, 160])
@pytest.mark.parametrize("make", [load, throttled, twenty])
def test_it_is_smaller_than_the_terminal(make: object, columns: int, rows: int) -> None:
    lines = live_view(make(), columns, rows)  # type: ignore[operator]
    assert len(lines) < rows
    assert all(width(line) < columns for line in lines)


def test_twenty_tasks_fit_on_24_lines_and_troubled_ones_come_first_on_fewer() -> None:
    assert sum("orders-" in line for line in live_view(twenty(), 80, 24)) == 20
    few = "\n".join(live_view(twenty(), 80, 9))
    assert "orders-05  throttled" in few
    assert "orders-13  restarting" in few
    assert "more tasks" in few


def test_names_and_reasons_cannot_move_the_cursor_and_wide_ones_are_cut_to_fit() -> None:
    runs, _ = watching("orders")
    metrics = (
        MetricValue("input", "rows_read", "counter", (("table", "\x1b[9A"),), 1, 1),
        MetricValue("input", "rows_read", "counter", (("table", "注文" * 50),), 1, 1),
    )
    runs.of("orders").progress(Progress(condition=THROTTLED, metrics=metrics))
    runs.of("orders").log("warning", "provider.log", message="\x1b[2J", role="input", provider="p", task="orders")
    lines = live_view(runs, 60, 24)
    assert "\x1b" not in "".join(lines)
    assert "\\u001b[9A" in "".join(lines)
    assert max(map(width, lines)) < 60


def drawing(screen: io.StringIO, runs: RunsWatch, **options: object) -> None:
    log = RunLog(screen, level="info", log_format="text", live=runs, **options)  # type: ignore[arg-type]
    task = log.of("orders", runs.of("orders"))
    task.progress(Progress(condition=STREAMING))
    task.log("info", "run.summary", rows=3)
    log.end()


def test_log_lines_stay_above_the_view_which_is_gone_at_the_end() -> None:
    screen = Screen()
    drawing(screen, RunsWatch(["orders"], Clock()))
    first, second, end = screen.getvalue().split("\r\x1b[")
    assert "● streaming" in first
    assert second.startswith("4A\x1b[J")
    assert second.index("run.summary") < second.index("● streaming")
    assert end == "4A\x1b[J"


def test_a_pipe_a_dumb_terminal_and_another_encoding_get_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    drawing(pipe, RunsWatch(["orders"]))
    assert [line.split()[2] for line in pipe.getvalue().splitlines()] == ["run.summary"]

    class Latin1(Screen):
        encoding = "iso-8859-1"  # type: ignore[assignment]

    latin = Latin1()
    drawing(latin, RunsWatch(["orders"]))
    monkeypatch.setenv("TERM", "dumb")
    dumb = Screen()
    drawing(dumb, RunsWatch(["orders"]))
    assert "streaming" not in latin.getvalue() + dumb.getvalue()


def test_a_new_phase_is_drawn_at_once() -> None:
    screen = Screen()
    runs = RunsWatch(["orders"])
    task = RunLog(screen, level="info", log_format="text", live=runs).of("orders", runs.of("orders"))
    for condition in (STREAMING, STREAMING, THROTTLED):
        task.progress(Progress(condition=condition))
    assert (screen.getvalue().count("● streaming"), screen.getvalue().count("○ throttled")) == (1, 1)


def test_figures_are_short() -> None:
    assert [amount(each) for each in (7, 1_824, 99_999, 1_310_000)] == ["7", "1,824", "99,999", "1.31 M"]
    assert [size(each) for each in (312, 8_100_000)] == ["312 B", "8.1 MB"]
    assert [span(each) for each in (0, 0.84, 42, 900, 86_400, 255_600)] == [
        "0 s",
        "0.8 s",
        "42 s",
        "15 min",
        "24 h",
        "3 d",
    ]
