"""Reports what the SDK logs to the log of the command: once per outage of the collector, once per other problem.

The SDK logs with Python's logging, at each attempt, and quotes headers that it cannot read; its texts are redacted.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dstream.telemetry.signals import Log, Signal

_SYSTEM_ERROR = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")


@dataclass(slots=True)
class _Attempt:
    is_exported: bool = False


class Outage(logging.Handler):
    """Attach it to the SDK's logger, and enter `watched` around each export."""

    def __init__(self, log: Log, redact: Callable[[str], str]) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._redact = redact
        self._state = threading.Lock()
        self._thread = threading.local()
        """`exports`: whether this thread exports, so that what the SDK logs is the reason of a failure."""
        self._failing: set[Signal] = set()
        self._is_reported = False
        self._reason = ""
        self._told: set[object] = set()
        self.is_closed = False
        """Whether failures are expected from now on."""

    @property
    def is_away(self) -> bool:
        """Whether the last attempt of an export has failed; the SDK may retry it."""
        return bool(self._failing) or bool(self._reason)

    @contextlib.contextmanager
    def watched(self, signal: Signal) -> Iterator[_Attempt]:
        attempt = _Attempt()
        self._thread.exports = True
        try:
            yield attempt
        finally:
            self._thread.exports = False
            (self._succeeded if attempt.is_exported else self._failed)(signal)

    def gave_up(self) -> None:
        """The last export has not ended in time."""
        self._report(self._reason or "the collector does not answer in time")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        if getattr(self._thread, "exports", False):
            found = _SYSTEM_ERROR.search(text)
            with self._state:
                self._reason = self._reason if self._reason and not found else found[1] if found else text
            return
        with self._state:
            is_new = (record.name, record.msg) not in self._told and not self.is_closed
            self._told.add((record.name, record.msg))
        if is_new:
            self._log("warning", "telemetry.problem", message=self._redact(text))

    def _failed(self, signal: Signal) -> None:
        with self._state:
            self._failing.add(signal)
        self._report(self._reason or "the collector refused them")

    def _succeeded(self, signal: Signal) -> None:
        with self._state:
            self._failing.discard(signal)
            self._reason = ""
            is_over = self._is_reported and not self._failing
            self._is_reported = self._is_reported and not is_over
        if is_over:
            self._log("info", "telemetry.export_resumed")

    def _report(self, reason: str) -> None:
        with self._state:
            is_first, self._is_reported = not self._is_reported and not self.is_closed, True
        if is_first:
            self._log("warning", "telemetry.export_failed", reason=self._redact(reason), note="only telemetry is lost")
