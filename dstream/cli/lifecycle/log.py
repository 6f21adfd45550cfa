"""The progress of a lifecycle command: text or log events on stderr, or an event stream on stdout."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TextIO

import msgspec

from dstream.cli.view.displayed import displayed
from dstream.cli.view.plan import Paint, Widths, folded, progress_line, under_way_line
from dstream.cli.view.progress import RunLog
from dstream.cli.view.words import cut
from dstream.errors import DStreamError
from dstream.host import LifecycleEvents
from dstream.protocol.lifecycle import ListedResource
from dstream.protocol.messages import Diagnostic, Resource
from dstream.streams import ReaderGone

_REDRAW_S = 1.0


class CommandLog(Protocol):
    """Receives the events of all tasks of a command."""

    def of(self, task: str) -> LifecycleEvents: ...

    def say(self, text: str) -> None:
        """Tell the user something about the command itself."""

    def begin(self, doing: str) -> None:
        """Called when the tasks start; `doing`: what they do, for display while they report no steps."""

    def expect(self, resources: Sequence[ListedResource]) -> None:
        """Called with the planned resources before they change."""

    def end(self) -> None:
        """Called when all tasks are done."""


class LifecycleLog:
    """Writes lines of text, or JSON events if `log_format` is json. A terminal also shows the steps under way, in a
    line that is redrawn in place.

    `task_width`: columns for the task's name on each line; 0: there is only one task.
    """

    def __init__(
        self, stream: TextIO, *, level: str, log_format: Literal["text", "json"], paint: Paint, task_width: int = 0
    ) -> None:
        self._stream = stream
        self._log = RunLog(stream, level=level, log_format=log_format)
        self.for_people = log_format == "text"
        self.in_place = self.for_people and stream.isatty()
        self.paint = paint
        self._task_width = task_width
        self._lock = threading.Lock()
        self._drawn = False
        self.widths = Widths()
        self._doing = ""
        self._began_s = 0.0
        self._under_way: dict[tuple[str, str, str], Resource] = {}
        self._planned = 0
        self._ended = 0
        self._is_over = threading.Event()
        self._redrawing: threading.Thread | None = None

    def of(self, task: str) -> LifecycleEvents:
        return _TaskLog(self, task)

    def expect(self, resources: Sequence[ListedResource]) -> None:
        self.widths = Widths.of(displayed(resources))
        self._planned = sum(each.op != "same" for each in resources)

    def begin(self, doing: str) -> None:
        self._doing, self._began_s = doing, time.monotonic()
        if self.in_place:
            self._is_over.clear()
            self._redrawing = threading.Thread(target=self._redraw, name="progress", daemon=True)
            self._redrawing.start()

    def end(self) -> None:
        if self._redrawing is not None:
            self._is_over.set()
            self._redrawing.join()
            self._redrawing = None
        with self._lock:
            self._under_way.clear()
            self._erase()
            self._stream.flush()

    def step(self, task: str, resource: Resource) -> None:
        """Note that a step has started or ended."""
        with self._lock:
            key = (task, resource.type, resource.name)
            if resource.phase == "started":
                self._began_s = self._began_s or time.monotonic()
                self._under_way[key] = resource
                self._draw()
            else:
                self._under_way.pop(key, None)
                self._ended += resource.op != "same"

    def say(self, text: str) -> None:
        with self._lock:
            self._erase()
            self._log.say(text)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        with self._lock:
            self._erase()
            self._log.log(level, event, **fields)

    @property
    def columns(self) -> int:
        """The terminal's columns that a task's line may take."""
        return self._log.columns() - self._task_width

    def line(self, task: str, text: str) -> None:
        with self._lock:
            self._erase()
            if self._task_width:
                first, *below = text.split("\n")
                text = self.paint(f"{task:<{self._task_width}}", None) + first
                text = "\n".join([text, *(" " * self._task_width + line for line in below)])
            self._stream.write(text + "\n")
            self._draw()
            self._stream.flush()

    def _redraw(self) -> None:
        while not self._is_over.wait(_REDRAW_S):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if not self.in_place:
            return
        self._erase()
        elapsed_s = time.monotonic() - self._began_s
        if self._under_way:
            text = under_way_line(list(self._under_way.values()), self._ended, self._planned, elapsed_s)
        elif self._redrawing is not None and elapsed_s >= _REDRAW_S:
            text = f"  {self._doing} · {elapsed_s:.0f}s"
        else:
            return
        self._stream.write(cut(text, self._log.columns()))
        self._stream.flush()
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._drawn = False


class _TaskLog:
    """One task's part of the log (the host's LifecycleEvents)."""

    def __init__(self, all_: LifecycleLog, task: str) -> None:
        self._all = all_
        self._task = task
        self._begun_s: dict[tuple[str, str], float] = {}

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self._all.log(level, event, **fields)

    def resource(self, resource: Resource) -> None:
        if resource.phase == "planned":
            return  # shown with the plan
        key = (resource.type, resource.name)
        if resource.phase == "started":
            self._begun_s[key] = time.monotonic()
        elapsed_s = time.monotonic() - self._begun_s[key] if key in self._begun_s else None
        if not self._all.for_people:
            self._log_resource(resource, elapsed_s)
            return
        resource = displayed(resource)
        self._all.step(self._task, resource)
        if resource.phase != "started":
            columns = self._all.columns if self._all.in_place else None
            self._all.line(self._task, progress_line(resource, elapsed_s, self._all.widths, self._all.paint, columns))

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        if not self._all.for_people:
            self._all.log(
                diagnostic.severity, "diagnostic", task=self._task, name=diagnostic.name, message=diagnostic.message
            )
            return
        diagnostic = displayed(diagnostic)
        name = f"{diagnostic.name}: " if diagnostic.name else ""
        color = {"warning": "yellow", "error": "red"}.get(diagnostic.severity)
        text = "\n".join(folded(diagnostic.message, f"  ! {name}", None))
        self._all.line(self._task, self._all.paint(text, color))

    def _log_resource(self, resource: Resource, elapsed_s: float | None) -> None:
        fields: dict[str, Any] = {"op": resource.op, "type": resource.type, "name": resource.name}
        if resource.note:
            fields["note"] = resource.note
        if elapsed_s is not None and resource.phase != "started":
            fields["after_ms"] = round(elapsed_s * 1000)
        level = "error" if resource.phase == "failed" else "info"
        self._all.log(level, f"resource.{resource.phase}", task=self._task, **fields)


class EventStream:
    """Writes `--json-stream`: one JSON object per line, immediately (docs/reference/cli-json.md).

    A failed write does not disturb the work that it reports; `check` raises the error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._failure: ReaderGone | DStreamError | None = None

    def of(self, task: str) -> LifecycleEvents:
        return _TaskEvents(self, task)

    def expect(self, resources: Sequence[ListedResource]) -> None:
        pass

    def say(self, text: str) -> None:
        self.write("log", level="info", name="command.stopping", fields={"message": text})

    def begin(self, doing: str) -> None:
        pass

    def end(self) -> None:
        pass

    def write(self, event: str, **fields: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"schema_version": 1, "event": event, "at": at, **fields}, ensure_ascii=False, default=str)
        with self._lock:
            if self._failure is None:
                try:
                    self._stream.write(line + "\n")
                    self._stream.flush()
                except (ReaderGone, DStreamError) as error:
                    self._failure = error

    def check(self) -> None:
        """Raise the error of the first write that failed."""
        if self._failure is not None:
            raise self._failure


class _TaskEvents:
    def __init__(self, all_: EventStream, task: str) -> None:
        self._all = all_
        self._task = task

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self._all.write("log", task=self._task, level=level, name=event, fields=fields)

    def resource(self, resource: Resource) -> None:
        fields = {
            each: msgspec.to_builtins(value)
            for each, value in msgspec.structs.asdict(resource).items()
            if value is not msgspec.UNSET
        }
        self._all.write("resource", task=self._task, **fields)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self._all.write(
            "diagnostic",
            task=self._task,
            severity=diagnostic.severity,
            name=diagnostic.name,
            message=diagnostic.message,
        )
