"""The output of `run`: one structured line per event and, on a terminal, a progress line that is redrawn in place."""

from __future__ import annotations

import threading
import time
from typing import Any, Literal, TextIO

from dstream.cli.render import show_errors
from dstream.errors import DStreamError
from dstream.host import Events, Progress
from dstream.telemetry import StructuredLog

_REDRAW_S = 2.0


class RunLog:
    """Writes the events of all runs of this process, as text or JSON."""

    def __init__(self, stream: TextIO, *, level: str, log_format: Literal["text", "json"]) -> None:
        self._stream = stream
        self._log = StructuredLog(stream, format=log_format, level=level)
        self._for_people = log_format == "text"
        self._in_place = stream.isatty() and self._for_people
        self._lock = threading.Lock()
        self._drawn = False
        self._rate = _Rate()
        self._progress: dict[str, Progress] = {}

    def of(self, task: str, watch: Events | None = None) -> TaskLog:
        """Return the event receiver for that task's run; `watch` also receives the events."""
        return TaskLog(self, task, watch)

    def log(self, level: str, event: str, **fields: Any) -> None:
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
            self._progress[task] = progress
            figures = self._progress.values()
            settled = sum(each.rows_settled for each in figures)
            rows_s = self._rate.update(settled, time.monotonic())
            if not self._in_place or rows_s is None:
                return
            in_flight = sum(each.rows_relayed for each in figures) - settled
            lags_ms = [each.lag_ms for each in figures if each.lag_ms is not None]
            lag = f"   lag {max(lags_ms) / 1000:.1f} s" if lags_ms else ""
            self._erase()
            self._stream.write(f"{rows_s:,.0f} rows/s   {settled:,} acknowledged   {in_flight:,} in flight{lag}")
            self._stream.flush()
            self._drawn = True

    def show(self, error: DStreamError) -> None:
        with self._lock:
            self._erase()
            show_errors(error, self._stream)

    def end(self) -> None:
        with self._lock:
            self._erase()
            self._stream.flush()

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

    def log(self, level: str, event: str, **fields: Any) -> None:
        if event == "run.started":
            self.was_running = True
        if self._watch is not None:
            self._watch.log(level, event, **fields)
        self._log.log(level, event, **fields)

    def progress(self, progress: Progress) -> None:
        if self._watch is not None:
            self._watch.progress(progress)
        self._log.progress(self._task, progress)


class _Rate:
    """Rows per second since the last redraw; None if that was less than `_REDRAW_S` ago."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._rows = 0

    def update(self, rows: int, now: float) -> float | None:
        if now - self._at < _REDRAW_S:
            return None
        rate = (rows - self._rows) / (now - self._at)
        self._at, self._rows = now, rows
        return rate
