"""The figures that the live view and the page show, and their last 15 minutes."""

from __future__ import annotations

import json
from dataclasses import replace

from dstream.host import Condition, Progress
from dstream.telemetry.figures import document, figures
from dstream.telemetry.history import KEPT_S, POINT_EVERY_S
from tests.watched import STREAMING, TABLES, THROTTLED, load, restarting, streamed, throttled, watching


def test_rates_are_averages_over_the_last_seconds() -> None:
    (task,) = figures(load())
    assert (round(task.rows_s), round(task.read_s)) == (7_234, 7_234)
    assert {each.table: round(each.rows_s) for each in task.tables} == dict(TABLES)
    assert (task.in_flight, task.retries, task.lag_s) == (3_512, 2, 0.812)
    assert round(task.checkpoint_age_s or 0, 1) == 0.2


def test_rates_are_zero_once_the_run_has_ended() -> None:
    runs = load()
    watch = runs.of("orders")
    watch.progress(replace(watch.progress_now, condition=Condition("failed", "x.y: why")))
    (task,) = figures(runs)
    assert (task.rows_s, task.read_s, task.bytes_s, task.tables[0].rows_s) == (0, 0, 0, 0)


def test_the_time_throttled_and_the_last_error_are_kept() -> None:
    (slow,) = figures(throttled())
    (broken,) = figures(restarting())
    assert slow.throttled_s == 41
    assert broken.last_error == "provider.died: input mssql_cdc ended with exit code 137"


def test_the_history_keeps_a_point_every_five_seconds_of_fifteen_minutes() -> None:
    runs, clock = watching("orders")
    watch = runs.of("orders")
    for second in range(2_000):
        clock.now_s = float(second)
        watch.progress(replace(streamed(second, TABLES), condition=STREAMING if second < 1_990 else THROTTLED))
    points = watch.history.points
    assert len(points) <= KEPT_S / POINT_EVERY_S + 1
    assert points[0].at_s >= 2_000 - KEPT_S - POINT_EVERY_S
    assert round(points[-1].rows_s) == 7_234
    assert (points[0].throttled, points[-1].throttled) == (0, 1)


def test_the_document_of_the_page_is_json_with_escaped_texts() -> None:
    runs, _ = watching("orders")
    runs.of("orders").log("error", "run.failed", task="orders", code="x.y", message="\x1b[2J")
    runs.of("orders").progress(Progress(condition=Condition("failed", "\x1b[2J")))
    text = json.dumps(document(runs))
    assert "\\\\u001b[2J" in text
    assert "\\u001b[2J" not in text.replace("\\\\u001b", "")
