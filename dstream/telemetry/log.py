"""Writes one structured line per event, as text or JSON, with the same fields in both.

The caller redacts the fields.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["text", "json"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHORT = {"warning": "warn"}
_PLAIN = re.compile(r"[^\s\"=]+")


class StructuredLog:
    """Writes events of at least `level` to `stream`. Thread-safe; each line is one write."""

    def __init__(
        self,
        stream: TextIO,
        *,
        format: LogFormat = "text",  # noqa: A002  # the name of the command line's option
        level: str = "info",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._line = _json_line if format == "json" else _text_line
        self._least = _LEVELS.get(level, _LEVELS["info"])
        self._now = now
        self._lock = threading.Lock()

    def log(self, level: str, event: str, **fields: Any) -> None:
        if _LEVELS.get(level, _LEVELS["info"]) < self._least:
            return
        time = self._now().astimezone(UTC)
        line = self._line(time, level, event, fields)
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


def _text_line(time: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    parts = " ".join(f"{name}={_text(value)}" for name, value in fields.items() if value is not None)
    return f"{time:%Y-%m-%dT%H:%M:%SZ} {_SHORT.get(level, level):<5} {event:<16} {parts}".rstrip()


def _json_line(time: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
    stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": stamp, "level": level, "event": event, **fields}, ensure_ascii=False, default=str)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
