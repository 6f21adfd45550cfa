"""The figures of each task that the live view and the page show, from what its `TaskWatch` has seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dstream.host import RunPhase
from dstream.shown import shown
from dstream.telemetry.health import Notice, RunsWatch, TaskWatch


@dataclass(frozen=True, slots=True)
class TableFigures:
    """Rows of one table, as the input counts them."""

    table: str
    rows_s: float
    rows: float


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """One task now. Rates are per second over the last 5 seconds; times are in seconds; texts are escaped."""

    task: str
    input: str
    output: str
    phase: RunPhase
    reason: str
    running_s: float
    rows_s: float
    """Rows settled per second."""
    read_s: float
    """Rows read per second."""
    bytes_s: float
    """Size of the relayed rows, as lines."""
    rows_settled: int
    rows_rejected: int
    in_flight: int
    lag_s: float | None
    throttled_s: float
    retries: float
    restarts: int
    time_to_loss_s: float | None
    checkpoint_age_s: float | None
    """Since the last checkpoint was stored; None before the first one."""
    last_error: str
    tables: tuple[TableFigures, ...]


def figures(runs: RunsWatch) -> list[TaskFigures]:
    """Return the figures of all tasks, in their order."""
    now_s = runs.clock()
    return [_figures(task, watch, now_s) for task, watch in runs.tasks.items()]


def notices(runs: RunsWatch) -> list[tuple[str, Notice]]:
    """Return the last warnings and errors of all tasks with their tasks, oldest first. Texts are escaped."""
    found = [
        (task, Notice(each.at, each.level, shown(each.text)))
        for task, watch in runs.tasks.items()
        for each in watch.notices
    ]
    return sorted(found, key=lambda each: each[1].at)


def document(runs: RunsWatch) -> dict[str, Any]:
    """Return what the page draws: the figures, the points of the plots by age, and the last warnings."""
    now_s = runs.clock()
    points = {
        task: [[round(now_s - at_s, 1), *values] for at_s, *values in watch.history.points]
        for task, watch in runs.tasks.items()
    }
    return {
        "tasks": [{**asdict(each), "points": points[each.task]} for each in figures(runs)],
        "notices": [
            {"task": task, "at": each.at.isoformat(timespec="seconds"), "level": each.level, "text": each.text}
            for task, each in notices(runs)
        ],
    }


def _figures(task: str, watch: TaskWatch, now_s: float) -> TaskFigures:
    progress, history = watch.progress_now, watch.history
    has_ended = watch.ended_s is not None
    until_s = now_s if watch.ended_s is None else watch.ended_s
    source, destination = watch.providers or ("", "")
    tables = [
        TableFigures(
            shown(table),
            0.0 if has_ended else history.per_second(lambda each, table=table: each.tables.get(table, 0.0)),  # type: ignore[misc]
            rows,
        )
        for table, rows in watch.rows_by_table().items()
    ]
    return TaskFigures(
        task=shown(task),
        input=shown(source),
        output=shown(destination),
        phase=progress.condition.phase,
        reason=shown(progress.condition.reason),
        running_s=until_s - watch.started_s,
        rows_s=0.0 if has_ended else history.per_second(lambda each: each.rows_settled),
        read_s=0.0 if has_ended else history.per_second(lambda each: each.rows_read),
        bytes_s=0.0 if has_ended else history.per_second(lambda each: each.bytes_relayed),
        rows_settled=progress.rows_settled,
        rows_rejected=progress.rows_rejected,
        in_flight=watch.rows_in_flight,
        lag_s=None if progress.lag_ms is None else progress.lag_ms / 1000,
        throttled_s=watch.throttled_s,
        retries=watch.retries(),
        restarts=progress.restarts,
        time_to_loss_s=progress.time_to_loss_s,
        checkpoint_age_s=None if watch.checkpoint_s is None else until_s - watch.checkpoint_s,
        last_error=shown(watch.last_error),
        tables=tuple(sorted(tables, key=lambda each: each.table)),
    )
