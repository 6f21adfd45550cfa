"""Interprets a provider's lines from its start until it is ready. Pure: no I/O, no clock, no process.

The reader of a provider's stdout passes each line to `Handshake.heard` until `is_ready`; the writer of line 1 calls
`asked`. The host decides what follows from a step; this module only reports it.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from dstream.protocol import CONTROL_PREFIX, PROTOCOL_VERSION
from dstream.protocol.legacy_log import legacy_log
from dstream.protocol.messages import (
    BadLine,
    Control,
    Error,
    ErrorBody,
    Heartbeat,
    Hello,
    Log,
    Metric,
    Status,
    decode_control,
    decode_status,
)


@dataclass(frozen=True, slots=True)
class Greeted:
    """The provider's hello."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Ready:
    """The provider's answer to line 1: it is ready for rows."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An error in answer to line 1, or before it; the provider will not run."""

    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Told:
    """A heartbeat, log line or metric."""

    control: Heartbeat | Log | Metric
    line: bytes


@dataclass(frozen=True, slots=True)
class Prose:
    """Text that is not a message; shown as the provider's log."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """A legacy provider's first JSON line that is not a status: the provider is ready and has written a row or text."""

    line: bytes


@dataclass(frozen=True, slots=True)
class LateHello:
    """A provider that was assumed to be legacy speaks this protocol; it must be restarted with its stdin open."""


Step = Greeted | Ready | Refused | Told | Prose | Payload | LateHello


class Handshake:
    """One provider's start: nothing -> hello -> line 1 (from the host) -> ready.

    A provider of the original protocol ("legacy") sends no hello. It is recognised by its first JSON line, or assumed
    when the host stops waiting; from then on, no line is a control line.
    """

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.first_prose: bytes | None = None
        self.is_asked = False
        self.is_ready = False
        self._counts_as_legacy = False

    @property
    def is_legacy(self) -> bool:
        return self._counts_as_legacy and self.hello is None

    @property
    def has_spoken(self) -> bool:
        """Whether one of its lines has shown which protocol it speaks."""
        return self.hello is not None or (self._counts_as_legacy and self.is_ready)

    def treat_as_legacy(self) -> None:
        """Assume the original protocol, because no hello arrived in time."""
        self._counts_as_legacy = True

    def asked(self) -> None:
        """Record that the host is writing line 1: from now on, an answer is expected."""
        self.is_asked = True

    def heard(self, line: bytes) -> Step | None:
        """Interpret a line; None for a control kind of a later version. Raises BadLine for an unexpected line."""
        if self.hello is None:
            # .NET's StreamWriter with Encoding.UTF8 writes a byte order mark first: what follows may be a row.
            line = line.removeprefix(codecs.BOM_UTF8)
            return self._legacy(line) if self._counts_as_legacy else self._before_hello(line)
        if line.startswith(CONTROL_PREFIX):
            return self._control(line)
        status = decode_status(line)
        if status is None:
            raise BadLine("expected an answer to line 1, got a line that is neither status nor control line")
        if not self.is_asked:
            raise BadLine(f'sent "{status.status}" before the host had written line 1')
        if status.status == "ready":
            self.is_ready = True
            return Ready()
        return _refused(status)

    def _before_hello(self, line: bytes) -> Step:
        if not line.startswith(b"{") or legacy_log(line):
            return self._prose(line)
        if not line.startswith(CONTROL_PREFIX):
            self._counts_as_legacy = True
            return self._legacy(line)
        control = decode_control(line)
        if not isinstance(control, Hello):
            raise BadLine("the first control line must be hello")
        self.hello = control
        return Greeted(control)

    def _legacy(self, line: bytes) -> Step:
        if not line.startswith(b"{") or legacy_log(line):
            return self._prose(line)
        if _is_hello(line):
            return LateHello()
        status = decode_status(line)
        self.is_ready = status is None or status.status == "ready"
        if status is None:
            return Payload(line)
        return Ready() if self.is_ready else _refused(status)

    def _prose(self, line: bytes) -> Prose:
        if self.first_prose is None and line.strip():
            self.first_prose = line
        return Prose(line)

    def _control(self, line: bytes) -> Step | None:
        control: Control | None = decode_control(line)
        if control is None or isinstance(control, (Heartbeat, Log, Metric)):
            return None if control is None else Told(control, line)
        if isinstance(control, Error):
            return Refused(
                ErrorBody(
                    control.code,
                    control.kind,
                    control.message,
                    control.hint,
                    control.config_path,
                    control.retry_after_ms,
                )
            )
        raise BadLine(f"{type(control).__name__.lower()} is not allowed before ready")


def _refused(status: Status) -> Refused:
    return Refused(status.error or ErrorBody("provider.failed", "system", status.message or "no reason given"))


def _is_hello(line: bytes) -> bool:
    try:
        return line.startswith(CONTROL_PREFIX) and isinstance(decode_control(line), Hello)
    except BadLine:
        return False


def speaks_this_version(hello: Hello) -> bool:
    return hello.protocol == PROTOCOL_VERSION
