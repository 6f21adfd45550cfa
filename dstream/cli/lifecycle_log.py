"""What a lifecycle command shows while it runs, on stderr: a line for each resource that was dealt with, and logs."""

from __future__ import annotations

import threading
import time
from typing import Any, Literal, TextIO

from dstream.cli.plan_view import Paint, progress_line
from dstream.cli.progress import RunLog
from dstream.protocol.messages import Diagnostic, Resource


class LifecycleLog:
    """Lines for people; with `log_format` json the same as events. What is under way shows on a terminal only."""

    def __init__(
        self, stream: TextIO, *, level: str, log_format: Literal["text", "json"], paint: Paint, task: str
    ) -> None:
        self._stream = stream
        self._log = RunLog(stream, level=level, log_format=log_format)
        self._for_people = log_format == "text"
        self._in_place = self._for_people and stream.isatty()
        self._paint = paint
        self._task = task
        self._lock = threading.Lock()
        self._begun_s: dict[tuple[str, str], float] = {}
        self._drawn = False

    def log(self, level: str, event: str, **fields: Any) -> None:
        with self._lock:
            self._erase()
            self._log.log(level, event, **fields)

    def resource(self, resource: Resource) -> None:
        if resource.phase == "planned":
            return  # the plan itself shows it
        key = (resource.type, resource.name)
        if resource.phase == "started":
            self._begun_s[key] = time.monotonic()
        elapsed_s = time.monotonic() - self._begun_s[key] if key in self._begun_s else None
        if not self._for_people:
            self._log_resource(resource, elapsed_s)
            return
        with self._lock:
            self._erase()
            line = progress_line(resource, elapsed_s, self._paint)
            if resource.phase != "started":
                self._stream.write(line + "\n")
            elif self._in_place:
                self._stream.write(line)
                self._drawn = True
            self._stream.flush()

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        if not self._for_people:
            self.log(
                diagnostic.severity, "diagnostic", task=self._task, name=diagnostic.name, message=diagnostic.message
            )
            return
        with self._lock:
            self._erase()
            name = f"{diagnostic.name}: " if diagnostic.name else ""
            color = {"warning": "yellow", "error": "red"}.get(diagnostic.severity)
            self._stream.write(self._paint(f"  ! {name}{diagnostic.message}", color) + "\n")
            self._stream.flush()

    def end(self) -> None:
        with self._lock:
            self._erase()
            self._stream.flush()

    def _log_resource(self, resource: Resource, elapsed_s: float | None) -> None:
        fields: dict[str, Any] = {"op": resource.op, "type": resource.type, "name": resource.name}
        if resource.note:
            fields["note"] = resource.note
        if elapsed_s is not None and resource.phase != "started":
            fields["after_ms"] = round(elapsed_s * 1000)
        level = "error" if resource.phase == "failed" else "info"
        self.log(level, f"resource.{resource.phase}", task=self._task, **fields)

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False
