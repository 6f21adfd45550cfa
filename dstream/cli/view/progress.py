"""The output of `run`: one structured line per event and, on a terminal, a progress line that is redrawn in place."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from dstream.cli.render import show_errors
from dstream.cli.view.words import cut
from dstream.errors import DStreamError
from dstream.host import CONDITION_PHASES, Events, Progress
from dstream.shown import shown_lines
from dstream.telemetry import StructuredLog

_REDRAW_S = 2.0
_COLUMNS = 80


class RunLog:
    """Writes the events of all runs of this process, as text or JSON."""

    def __init__(self, stream: TextIO, *, level: str, log_format: Literal["text", "json"]) -> None:
        self._stream = stream
        self._log = StructuredLog(
            stream, format=log_format, level=level, columns=self.columns if stream.isatty() else None
        )
        self._for_people = log_format == "text"
        self._in_place = stream.isatty() and self._for_people
        self._lock = threading.Lock()
        self._drawn = False
        self._rate = _Rate()
        self._progress: dict[str, Progress] = {}

    def of(self, task: str, watch: Events | None = None) -> TaskLog:
        """Return the event receiver for that task's run; `watch` also receives the events."""
        self._progress[task] = Progress()
        return TaskLog(self, task, watch)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if event == "run.failed" and self._for_people:
            return  # the error itself is shown, with its place and the fix
        if self._for_people and event == "provider.log" and "stream" not in fields:
            # Show a provider's event like one of the host's; its name identifies the provider.
            event = fields.pop("message")
            fields.pop("role", None)
            fields.pop("provider", None)
        with self._lock:
            self._erase()
            self._log.log(level, event, **fields)

    def progress(self, task: str, progress: Progress) -> None:
        """Redraw the progress line, which adds up all tasks."""
        with self._lock:
            before = self._progress[task].condition.phase
            self._progress[task] = progress
            is_new_phase = before != progress.condition.phase
            settled = sum(each.rows_settled for each in self._progress.values())
            if not (self._rate.update(settled, time.monotonic()) or is_new_phase) or not self._in_place:
                return
            line = progress_line(list(self._progress.values()), self._rate.rows_s)
            self._erase()
            self._stream.write(cut(line, self.columns()))
            self._stream.flush()
            self._drawn = True

    def show(self, error: DStreamError) -> None:
        with self._lock:
            self._erase()
            show_errors(error, self._stream)

    def say(self, text: str) -> None:
        """Write a line for the user about the command itself."""
        if not self._for_people:
            self.log("info", "command.stopping", message=text)
            return
        with self._lock:
            self._erase()
            self._stream.write(shown_lines(text) + "\n")
            self._stream.flush()

    def end(self) -> None:
        with self._lock:
            self._erase()
            self._stream.flush()

    def columns(self) -> int:
        """The width of the terminal behind the stream, which is not the one behind stdout if that is a pipe."""
        with contextlib.suppress(ValueError, OSError):
            return int(os.environ.get("COLUMNS", "")) or _COLUMNS
        with contextlib.suppress(ValueError, OSError):
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        return _COLUMNS

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False


class TaskLog:
    """One task's part of the log (the host's `Events`); `was_running` affects the exit code."""

    def __init__(self, log: RunLog, task: str, watch: Events | None) -> None:
        self._log = log
        self._task = task
        self._watch = watch
        self.was_running = False

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if event == "run.started":
            self.was_running = True
        if self._watch is not None:
            self._watch.log(level, event, **fields)
        self._log.log(level, event, **fields)

    def progress(self, progress: Progress) -> None:
        if self._watch is not None:
            self._watch.progress(progress)
        self._log.progress(self._task, progress)


def progress_line(figures: Sequence[Progress], rows_s: float) -> str:
    """'streaming   lag 0.4 s   336 rows/s   7,907 acknowledged   12 in flight'

    Several tasks: '2 streaming, 1 reconnecting   ..', and the largest lag. The line may be cut: what matters less comes
    later, a reason last.
    """
    settled = sum(each.rows_settled for each in figures)
    in_flight = sum(each.rows_relayed for each in figures) - settled
    parts = [_conditions(figures)]
    lags_ms = [each.lag_ms for each in figures if each.lag_ms is not None]
    if lags_ms:
        parts.append(f"lag {max(lags_ms) / 1000:.1f} s")
    parts += [f"{rows_s:,.0f} rows/s", f"{settled:,} acknowledged", f"{in_flight:,} in flight"]
    if len(figures) == 1 and figures[0].condition.reason:
        parts.append(figures[0].condition.reason)
    return "   ".join(parts)


def _conditions(figures: Sequence[Progress]) -> str:
    counts = Counter(each.condition.phase for each in figures)
    if len(figures) == 1:
        return next(iter(counts))
    return ", ".join(f"{counts[phase]} {phase}" for phase in CONDITION_PHASES if phase in counts)


class _Rate:
    """Rows per second between the last two updates that were at least `_REDRAW_S` apart."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._rows = 0
        self.rows_s = 0.0

    def update(self, rows: int, now: float) -> bool:
        """Return whether the rate is new."""
        if now - self._at < _REDRAW_S:
            return False
        self.rows_s = (rows - self._rows) / (now - self._at)
        self._at, self._rows = now, rows
        return True
