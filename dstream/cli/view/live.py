"""The live view of `run`: the figures of all tasks, redrawn in place. Pure; `RunLog` draws it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from dstream.cli.view.words import plural
from dstream.host import CONDITION_PHASES
from dstream.telemetry.figures import TableFigures, TaskFigures, figures, notices
from dstream.telemetry.health import RunsWatch

T = TypeVar("T")
_NOTICES = 3
_NAME = 40
_LEAST_FIGURES = 5
_LEAST_REASON = 20
_GAP = "  "
_SIZES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_AMOUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
_SPANS = ((2 * 86400, 86400, "d"), (2 * 3600, 3600, "h"), (2 * 60, 60, "min"))
_HIGH = 100_000


def live_view(runs: RunsWatch, columns: int, rows: int) -> list[str]:
    """Return the lines, each narrower than `columns` and fewer than `rows`, so that they can be redrawn in place."""
    tasks, warnings = figures(runs), _warnings(runs)
    room = max(rows - 1 - len(warnings), 4)
    if len(tasks) == 1:
        lines = _one(tasks[0], columns, room)
    else:
        lines = _several(tasks, runs.clock() - runs.started_s, columns, room)
    return [fitted(line, columns - 1) for line in [*lines, *warnings]][: max(rows - 1, 1)]


def _one(task: TaskFigures, columns: int, room: int) -> list[str]:
    way = f"{task.input} → {task.output}" if task.input else ""
    right = f"running {clock(task.running_s)}   {'●' if task.phase == 'streaming' else '○'} {task.phase}"
    reason = [f"  {task.reason}"] if task.reason else []
    parts = [f"read {amount(task.read_s)}/s", *_flow(task), *_details(task)]
    below = ["", *_filled(parts, columns)]
    if task.last_error:
        below.append(f"  last error  {task.last_error}")
    lines = _tables(task.tables, room - len(reason) - len(below) - 2)
    return [_ends(f"{task.task}  {way}".rstrip(), right, columns), *reason, *lines, *below]


def _tables(tables: Sequence[TableFigures], room: int) -> list[str]:
    if not tables:
        return []
    shown, more = _few(sorted(tables, key=lambda each: -each.rows_s), room - 1)
    rows = [[each.table, amount(each.rows_s), amount(each.rows)] for each in tables if each in shown]
    rest = [f"  and {plural(more, 'more table')}"] if more else []
    return ["", *_columns([["table", "rows/s", "total"], *rows]), *rest]


def _several(tasks: Sequence[TaskFigures], running_s: float, columns: int, room: int) -> list[str]:
    """20 tasks fit on a terminal of 24 lines."""
    counts = Counter(each.phase for each in tasks)
    phases = ", ".join(f"{counts[phase]} {phase}" for phase in CONDITION_PHASES if phase in counts)
    total = [
        f"{amount(sum(each.rows_s for each in tasks))} rows/s",
        f"in flight {amount(sum(each.in_flight for each in tasks))}",
        f"acknowledged {amount(sum(each.rows_settled for each in tasks))}",
        f"relayed {size(sum(each.bytes_s for each in tasks))}/s",
    ]
    kept, more = _few(sorted(tasks, key=lambda each: each.phase == "streaming"), room - 3)
    shown = [each for each in tasks if each in kept]
    table = _task_table(shown, columns)
    room_for_reasons = width(table[0]) + _LEAST_REASON < columns
    reasons = ["", *(each.reason or each.last_error if room_for_reasons else "" for each in shown)]
    return [
        _ends(f"{plural(len(tasks), 'task')}: {phases}", f"running {clock(running_s)}", columns),
        *_filled(total, columns),
        *(f"{line}{_GAP}{reason}".rstrip() for line, reason in zip(table, reasons, strict=True)),
        *([f"  and {plural(more, 'more task')}"] if more else []),
    ]


def _task_table(tasks: Sequence[TaskFigures], columns: int) -> list[str]:
    """Return one line per task, with as many of the figures as fit."""
    rows = [_row(each) for each in tasks]
    names = list(rows[0])
    while True:
        table = _columns([names, *([row[name] for name in names] for row in rows)], texts=2)
        if width(table[0]) < columns or len(names) <= _LEAST_FIGURES:
            return table
        names.pop()


def _row(task: TaskFigures) -> dict[str, str]:
    """Return the figures by heading; what matters less comes later."""
    return {
        "task": task.task,
        "phase": task.phase,
        "rows/s": amount(task.rows_s),
        "total": amount(task.rows_settled),
        "lag": _or_unknown(task.lag_s),
        "in flight": amount(task.in_flight),
        "restarts": str(task.restarts),
        "throttled": span(task.throttled_s),
        "checkpoint": _or_unknown(task.checkpoint_age_s),
    }


def _flow(task: TaskFigures) -> list[str]:
    return [
        f"in flight {amount(task.in_flight)}",
        f"acknowledged {amount(task.rows_settled)} ({amount(task.rows_s)}/s)",
        f"relayed {size(task.bytes_s)}/s",
        *([f"rejected {amount(task.rows_rejected)}"] if task.rows_rejected else []),
    ]


def _details(task: TaskFigures) -> list[str]:
    stored = "none yet" if task.checkpoint_age_s is None else f"{span(task.checkpoint_age_s)} ago"
    return [
        f"lag {_or_unknown(task.lag_s)}",
        f"throttled {span(task.throttled_s)}",
        f"retries {amount(task.retries)}",
        f"restarts {task.restarts}",
        *([] if task.time_to_loss_s is None else [f"time to loss {span(task.time_to_loss_s)}"]),
        f"last checkpoint {stored}",
    ]


def _warnings(runs: RunsWatch) -> list[str]:
    last = notices(runs)[-_NOTICES:]
    several = len(runs.tasks) > 1
    lines = [
        f"  {each.at:%H:%M:%SZ} {each.level[:5].replace('warni', 'warn ')} {f'{task} ' if several else ''}{each.text}"
        for task, each in last
    ]
    return ["", *lines] if lines else []


def amount(number: float) -> str:
    """'1,824', '1.31 M'"""
    for unit, name in _AMOUNTS:
        if number >= unit and number >= _HIGH:
            return f"{number / unit:.2f} {name}"
    return f"{number:,.0f}"


def size(count: float) -> str:
    """'312 B', '8.1 MB'"""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}B"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """'0.8 s', '42 s', '15 min', '71 h', '3 d'"""
    for least, unit, name in _SPANS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{seconds:.0f} s"


def clock(seconds: float) -> str:
    """'00:12:44'"""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def width(text: str) -> int:
    """Return the columns that a text takes on a terminal (Unicode Standard Annex #11)."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def fitted(text: str, columns: int) -> str:
    """Return what fits in so many columns."""
    if width(text) <= columns:
        return text
    while text and width(text) >= columns:
        text = text[:-1]
    return f"{text}…"


def _or_unknown(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def _few(items: Sequence[T], room: int) -> tuple[Sequence[T], int]:
    """Return the first items that fit, leaving a line for the number of the others, and that number."""
    if len(items) <= room:
        return items, 0
    kept = items[: max(room - 1, 1)]
    return kept, len(items) - len(kept)


def _columns(table: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """Align a table: the first `texts` columns left, the others right."""
    cells = [[fitted(cell, _NAME) for cell in row] for row in table]
    widths = [max(width(row[number]) for row in cells) for number in range(len(cells[0]))]
    lines = []
    for row in cells:
        spaces = [" " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)]
        lines.append(
            _GAP
            + _GAP.join(
                f"{cell}{space}" if number < texts else f"{space}{cell}"
                for number, (cell, space) in enumerate(zip(row, spaces, strict=True))
            )
        )
    return lines


def _filled(parts: Sequence[str], columns: int) -> list[str]:
    """Set the parts in as many lines as needed."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}   {part}" if lines[-1] else f"  {part}"
        if lines[-1] and width(longer) >= columns:
            lines.append(f"  {part}")
        else:
            lines[-1] = longer
    return lines


def _ends(left: str, right: str, columns: int) -> str:
    """Set one text at each end of a line."""
    left = fitted(left, max(columns - 4 - width(right), 1))
    return f"{left}{' ' * max(columns - 1 - width(left) - width(right), 3)}{right}"
