"""Writes one structured line per event, as text or JSON, with the same fields in both.

Text is for people: nested values are written as `name.key=value`, and on a terminal a long line continues, indented, on
the next one. Scripts read JSON. The caller redacts the fields. The log escapes what a terminal or a CI system would
obey, so no field can forge a line. `time`, `level` and `event` are the log's own; a field of such a name is written as
`time_`.

A line that stderr does not accept is dropped, since no work may depend on its log; once stderr accepts lines again,
`log.dropped` gives their number.
"""

from __future__ import annotations

import json
import re
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from dstream.shown import shown, shown_lines
from dstream.streams import LossyStream

LogFormat = Literal["text", "json"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHORT = {"warning": "warn"}
RESERVED_FIELDS = frozenset({"time", "level", "event"})
_PLAIN = re.compile(r"[^\s\"=]+")
_INDENT = 4
_LEAST_COLUMNS = 40


class StructuredLog:
    """Writes events of at least `level` to `stream`. Thread-safe; each line is one write."""

    def __init__(
        self,
        stream: TextIO,
        *,
        format: LogFormat = "text",  # noqa: A002  # the name of the command line's option
        level: str = "info",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        columns: Callable[[], int] | None = None,
    ) -> None:
        """`columns`: the width of the terminal for text; None: not a terminal, so lines are not wrapped."""
        self._stream = stream
        self._line = _json_line if format == "json" else _text_line
        self._least = _LEVELS.get(level, _LEVELS["info"])
        self._now = now
        self._columns = columns if format == "text" else None
        self._lock = threading.Lock()
        self._dropped = 0

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if _LEVELS.get(level, _LEVELS["info"]) < self._least:
            return
        with self._lock:
            if not self._write(level, event, fields):
                self._dropped += 1
            elif self._dropped:
                self._report_dropped()

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> bool:
        """Return False if the stream dropped the line."""
        fields = {f"{name}_" if name in RESERVED_FIELDS else name: value for name, value in fields.items()}
        line = shown_lines(self._line(self._now().astimezone(UTC), level, event, fields))
        if self._columns is not None:
            first, newline, below = line.partition("\n")
            line = _wrapped(first, self._columns()) + newline + below
        lost = self._lost
        self._stream.write(line + "\n")
        self._stream.flush()
        return self._lost == lost

    def _report_dropped(self) -> None:
        assert isinstance(self._stream, LossyStream)
        if self._write("warning", "log.dropped", {"lines": self._dropped, "reason": self._stream.reason}):
            self._dropped = 0

    @property
    def _lost(self) -> int:
        return self._stream.lost if isinstance(self._stream, LossyStream) else 0


def as_own_event(event: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a provider's event like one of the host's, for people; its name identifies the provider."""
    if event != "provider.log" or "stream" in fields:
        return event, fields
    own = {name: value for name, value in fields.items() if name not in ("message", "role", "provider")}
    return fields["message"], own


def event_text(event: str, fields: dict[str, Any]) -> str:
    """Return the event and its fields as in a line of text, not escaped."""
    event, fields = as_own_event(event, fields)
    return " ".join([event, *(f"{name}={_text(value)}" for name, value in flat_fields(fields) if value is not None)])


def _text_line(time: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    """A text of several lines, such as a traceback, is written below the line, indented."""
    flat = [(name, value) for name, value in flat_fields(fields) if value is not None]
    below = [value for _, value in flat if isinstance(value, str) and len(value.splitlines()) > 1]
    parts = " ".join(f"{_text(name)}={_text(value)}" for name, value in flat if value not in below)
    first = f"{time:%Y-%m-%dT%H:%M:%SZ} {shown(_SHORT.get(level, level)):<5} {shown(event):<16} {parts}".rstrip()
    return "\n".join([first, *(f"{' ' * _INDENT}{line}" for value in below for line in value.splitlines())])


def _json_line(time: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": stamp, "level": level, "event": event, **fields}, ensure_ascii=False, default=str)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else _dumps(value)
    if _PLAIN.fullmatch(text):
        return text
    quoted = _dumps(text)
    only_quotes_escaped = quoted == '"' + text.replace('"', '\\"') + '"'
    # Single quotes spare the reader a backslash before each quote of nested JSON.
    return f"'{text}'" if '"' in text and "'" not in text and only_quotes_escaped else quoted


def flat_fields(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields, those of a mapping under its name, and a list of plain values as text."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from flat_fields({str(key): each for key, each in value.items()}, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)) and all(isinstance(each, (str, int, float)) for each in value):
            yield f"{prefix}{name}", ", ".join(each if isinstance(each, str) else _dumps(each) for each in value)
        else:
            yield f"{prefix}{name}", value


def _wrapped(line: str, columns: int) -> str:
    """Break between words, which a terminal does not. A word longer than a line stays whole."""
    if len(line) < columns or columns < _LEAST_COLUMNS:
        return line
    indent = " " * _INDENT
    return "\n".join(
        textwrap.wrap(line, columns - 1, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    )


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
