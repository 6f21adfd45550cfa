"""What `run` shows: one structured line an event and, on a terminal, a line below them that is redrawn in place."""

from __future__ import annotations

import threading
import time
from typing import Any, Literal, TextIO

from dstream.host import Progress
from dstream.telemetry import StructuredLog

_REDRAW_S = 2.0


class RunLog:
    """The events of a run, for people or machines."""

    def __init__(self, stream: TextIO, *, level: str, log_format: Literal["text", "json"]) -> None:
        self._stream = stream
        self._log = StructuredLog(stream, format=log_format, level=level)
        self._for_people = log_format == "text"
        self._in_place = stream.isatty() and self._for_people
        self._lock = threading.Lock()
        self._drawn = False
        self._rate = _Rate()
        self.was_running = False

    def log(self, level: str, event: str, **fields: Any) -> None:
        if event == "run.started":
            self.was_running = True
        if event == "run.failed" and self._for_people:
            return  # the error itself is shown at the end, with its place and the fix
        if self._for_people and event == "provider.log" and "stream" not in fields:
            # A provider's own event reads like one of ours; who told it is seen from its name.
            event = fields.pop("message")
            fields.pop("role", None)
            fields.pop("provider", None)
        with self._lock:
            self._erase()
            self._log.log(level, event, **fields)

    def progress(self, progress: Progress) -> None:
        rows_s = self._rate.update(progress.rows_settled, time.monotonic())
        if not self._in_place or rows_s is None:
            return
        lag = "" if progress.lag_ms is None else f"   lag {progress.lag_ms / 1000:.1f} s"
        in_flight = progress.rows_relayed - progress.rows_settled
        with self._lock:
            self._erase()
            self._stream.write(
                f"{rows_s:,.0f} rows/s   {progress.rows_settled:,} acknowledged   {in_flight:,} in flight{lag}"
            )
            self._stream.flush()
            self._drawn = True

    def end(self) -> None:
        with self._lock:
            self._erase()
            self._stream.flush()

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False


class _Rate:
    """Rows a second since the last time it was shown; None while that was less than `_REDRAW_S` ago."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._rows = 0

    def update(self, rows: int, now: float) -> float | None:
        if now - self._at < _REDRAW_S:
            return None
        rate = (rows - self._rows) / (now - self._at)
        self._at, self._rows = now, rows
        return rate
