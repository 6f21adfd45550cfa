"""Runs in the situations that the live view and the page have to show well, with all times given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from dstream.host import Condition, MetricValue, Progress
from dstream.telemetry.health import Notice, RunsWatch, TaskWatch

NOW = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
STREAMING = Condition("streaming", is_ready=True)
THROTTLED = Condition("throttled", "output servicebus: server busy", is_ready=True)
RESTARTING = Condition("restarting", "provider.died: input mssql_cdc ended with exit code 137")
TABLES = {"dbo.Orders": 1_824, "dbo.OrderLines": 5_410}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def rows_of(tables: Mapping[str, int], seconds: float) -> tuple[MetricValue, ...]:
    return tuple(
        MetricValue("input", "rows_read", "counter", (("table", table),), rows_s * seconds, 1)
        for table, rows_s in tables.items()
    )


def streamed(seconds: float, tables: Mapping[str, int]) -> Progress:
    """The figures of a task that has streamed so many rows per second for so long."""
    rows = round(sum(tables.values()) * seconds)
    return Progress(
        rows_relayed=rows + 3_512,
        rows_settled=rows,
        bytes_relayed=rows * 1_120,
        checkpoints_stored=int(seconds),
        condition=STREAMING,
        lag_ms=812,
        metrics=(
            *rows_of(tables, seconds),
            MetricValue("input", "time_to_loss_seconds", "gauge", (), 255_600, 1),
            MetricValue("output", "send_retries", "counter", (("entity", "orders"),), 2, 2),
        ),
    )


def watching(*tasks: str) -> tuple[RunsWatch, Clock]:
    clock = Clock()
    runs = RunsWatch(tasks, clock)
    for task in tasks:
        runs.of(task).log("info", "run.started", task=task, input="mssql_cdc", output="servicebus")
    return runs, clock


def stream(watch: TaskWatch, clock: Clock, tables: Mapping[str, int], until_s: int = 764) -> Progress:
    for second in range(until_s - 10, until_s + 1):
        clock.now_s = second
        watch.progress(streamed(second, tables))
    clock.now_s = until_s + 0.2
    return watch.progress_now


def load() -> RunsWatch:
    runs, clock = watching("orders")
    stream(runs.of("orders"), clock, TABLES)
    return runs


def throttled() -> RunsWatch:
    runs, clock = watching("orders")
    watch = runs.of("orders")
    figures = stream(watch, clock, TABLES)
    for second in range(765, 807):
        clock.now_s = second
        watch.progress(replace(figures, condition=THROTTLED, lag_ms=42_000))
    reason = THROTTLED.reason
    watch.notices = (Notice(NOW, "warning", f'run.condition phase=throttled was=streaming reason="{reason}"'),)
    return runs


def restarting() -> RunsWatch:
    runs, clock = watching("orders")
    watch = runs.of("orders")
    figures = stream(watch, clock, TABLES)
    code, message = RESTARTING.reason.split(": ")
    watch.log("warning", "run.restarting", task="orders", attempt=3, in_s=4.1, code=code, message=message)
    watch.notices = tuple(replace(each, at=NOW) for each in watch.notices)
    for second in range(765, 776):
        clock.now_s = second
        watch.progress(replace(figures, condition=RESTARTING, lag_ms=12_345, restarts=2))
    return runs


def idle() -> RunsWatch:
    runs, clock = watching("orders")
    for second in (3_590, 3_600):
        clock.now_s = second
        runs.of("orders").progress(Progress(condition=STREAMING, lag_ms=0))
    return runs


def twenty() -> RunsWatch:
    names = [f"orders-{number:02}" for number in range(1, 21)]
    runs, clock = watching(*names)
    for number, name in enumerate(names):
        figures = stream(runs.of(name), clock, {"dbo.Orders": 100 * number})
        if number in (4, 12):
            bad = THROTTLED if number == 4 else RESTARTING
            runs.of(name).progress(replace(figures, condition=bad, restarts=number // 12))
    return runs


SITUATIONS: Mapping[str, Callable[[], RunsWatch]] = {
    "load": load,
    "throttled": throttled,
    "restarting": restarting,
    "idle": idle,
    "20-tasks": twenty,
}
