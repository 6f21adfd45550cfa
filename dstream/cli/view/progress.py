"""The output of `run`: one structured line per event and, on a terminal, the live view below them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Literal, TextIO

from dstream import streams
from dstream.cli.render import show_errors
from dstream.cli.view.live import live_view, width
from dstream.errors import DStreamError
from dstream.host import Events, Progress, Tracer
from dstream.shown import shown_lines
from dstream.telemetry import StructuredLog
from dstream.telemetry.health import RunsWatch
from dstream.telemetry.log import as_own_event

_REDRAW_S = 1.0
_MOST_REDRAWS = 10
"""After log lines, until the figures are drawn again: a flood of lines must not draw the view with each."""
_COLUMNS = 80
_ROWS = 24


class RunLog:
    """Writes the events of all runs of this process, as text or JSON.

    `live`: the runs whose figures are drawn below the lines, if the log is text and the terminal can show them.
    """

    def __init__(
        self, stream: TextIO, *, level: str, log_format: Literal["text", "json"], live: RunsWatch | None = None
    ) -> None:
        self._stream = stream
        self._log = StructuredLog(
            stream, format=log_format, level=level, columns=self.columns if stream.isatty() else None
        )
        self._for_people = log_format == "text"
        self._live = live if self._for_people and _can_draw(stream) else None
        self._lock = threading.Lock()
        self._drawn: list[str] = []
        self._drawn_s = 0.0
        self._redraws = 0
        self._phases: dict[str, str] = {}

    def of(self, task: str, *watches: Events, tracer: Tracer | None = None) -> TaskLog:
        """Return the event receiver for that task's run; `watches` also receive the events. `tracer` traces its
        rows."""
        return TaskLog(self, task, watches, tracer)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if event == "run.failed" and self._for_people:
            return  # the error itself is shown, with its place and the fix
        if self._for_people:
            event, fields = as_own_event(event, fields)
        with self._lock:
            drawn = self._erase()
            self._log.log(level, event, **fields)
            self._redraws += 1
            if self._redraws <= _MOST_REDRAWS:
                self._draw(drawn)

    def progress(self, task: str, progress: Progress) -> None:
        """Redraw the live view, at most once per second while no phase changes."""
        if self._live is None:
            return
        with self._lock:
            phase, now_s = progress.condition.phase, time.monotonic()
            if self._phases.get(task) == phase and now_s - self._drawn_s < _REDRAW_S:
                return
            self._phases[task], self._drawn_s = phase, now_s
            self._redraws = 0
            self._erase()
            self._draw(live_view(self._live, self.columns(), self._rows()))

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

    def _rows(self) -> int:
        with contextlib.suppress(ValueError, OSError):
            return int(os.environ.get("LINES", "")) or _ROWS
        with contextlib.suppress(ValueError, OSError):
            return os.get_terminal_size(self._stream.fileno()).lines or _ROWS
        return _ROWS

    def _draw(self, lines: list[str]) -> None:
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
            self._drawn = lines

    def _erase(self) -> list[str]:
        """Erase what was drawn, which takes more rows if the terminal has become narrower, and return it."""
        drawn, self._drawn = self._drawn, []
        if drawn:
            columns = self.columns()
            streams.erase_above(self._stream, sum(max(1, -(-width(line) // columns)) for line in drawn))
        return drawn


def _can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal that moves its cursor and shows what the view consists of."""
    is_utf_8 = (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"
    return stream.isatty() and is_utf_8 and os.environ.get("TERM") != "dumb"


class TaskLog:
    """One task's part of the log (the host's `Events`); `was_running` affects the exit code."""

    def __init__(self, log: RunLog, task: str, watches: Sequence[Events], tracer: Tracer | None) -> None:
        self.tracer = tracer
        self._log = log
        self._task = task
        self._watches = watches
        self.was_running = False

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if event == "run.started":
            self.was_running = True
        for watch in self._watches:
            watch.log(level, event, **fields)
        self._log.log(level, event, **fields)

    def progress(self, progress: Progress) -> None:
        for watch in self._watches:
            watch.progress(progress)
        self._log.progress(self._task, progress)
