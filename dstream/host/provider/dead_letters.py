"""Asks an output for its dead letters, outside a run: lists, shows, replays or purges them (protocol: Dead letters)."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from dstream.errors import ConfigError, DStreamError, SystemFault
from dstream.host.provider import failures
from dstream.host.provider.described import learn_settings
from dstream.host.provider.link import TICK_S, LineLink, shut_down
from dstream.host.provider.spec import HELLO_TIMEOUT_S, ProviderSpec
from dstream.protocol import CONTROL_PREFIX
from dstream.protocol.dead_letters import (
    DeadLetter,
    DeadLetterRequest,
    DeadLettersCommand,
    DeadLettersDone,
    decode_dead_letter,
)
from dstream.protocol.framing import LineTooLong
from dstream.protocol.messages import (
    BadLine,
    Error,
    Infrastructure,
    Log,
    RunOptions,
    Stop,
    decode_control,
    decode_log_fields,
    encode,
)
from dstream.redact import Redactor, environment_secrets

_EXIT_GRACE_S = 5.0
_SILENCE_S = 60.0
_CANCEL_S = 30.0
"""How long a cancelled replay may take to end cleanly: it waits for the send under way."""


@dataclass(frozen=True, slots=True)
class DeadLetterQuestion:
    """What to ask the output of a task."""

    task: str
    output: ProviderSpec
    infrastructure: Infrastructure
    request: DeadLetterRequest
    cwd: Path | None
    start_timeout_s: float
    max_line: int


class DeadLetterEvents(Protocol):
    """Receives the answer as it comes. Texts are redacted; rows are not."""

    def letter(self, letter: DeadLetter) -> None: ...

    def row(self, row: bytes) -> None: ...

    def log(self, level: str, event: str, /, **fields: Any) -> None: ...


class StopSignal(Protocol):
    """The user's request to stop; urgent if it is the second one."""

    @property
    def is_requested(self) -> bool: ...

    @property
    def is_urgent(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class DeadLetterEnd:
    """How it ended. `count`: of the letters that were listed, shown, delivered or purged, as far as it is known."""

    count: int
    is_interrupted: bool = False


def ask_for_dead_letters(question: DeadLetterQuestion, events: DeadLetterEvents, stop: StopSignal) -> DeadLetterEnd:
    """Start the provider, carry out the request, and end it. The first stop request ends a replay cleanly.

    Raises ConfigError `provider.no_dead_letters` before anything is sent to a provider that keeps none, and the
    provider's own errors.
    """
    spec = question.output
    redactor = Redactor(secrets=spec.secrets | environment_secrets(os.environ), configs=(spec.config,))
    try:
        return _Conversation(question, events, stop, redactor).end()
    except DStreamError as error:
        fault = redactor.error(error)
        if fault is error:
            raise
        raise fault from error


class _Stopped(Exception):
    """The user stopped the command, and the provider did not end in time or has nothing to finish."""


class _Conversation:
    """One process with one request."""

    def __init__(
        self, question: DeadLetterQuestion, events: DeadLetterEvents, stop: StopSignal, redactor: Redactor
    ) -> None:
        self._question = question
        self._spec = question.output
        self._events = events
        self._stop = stop
        self._redactor = redactor
        self._stopped_s: float | None = None
        self._delivered = 0

    def end(self) -> DeadLetterEnd:
        self._link = LineLink("output", self._spec, cwd=self._question.cwd, on_stderr=self._stderr)
        try:
            self._greet()
            self._ask()
            count = self._await_end()
            self._link.let_exit(_EXIT_GRACE_S)
            return DeadLetterEnd(count, self._stopped_s is not None)
        except _Stopped:
            return DeadLetterEnd(self._delivered, is_interrupted=True)
        except LineTooLong as error:
            raise failures.line_too_long("output", self._spec, self._question.task, error) from error
        finally:
            shut_down([self._link], signal.SIGTERM, _EXIT_GRACE_S, lambda: self._stop.is_urgent)

    def _greet(self) -> None:
        link = self._link
        is_alive = link.greet(
            self._heard,
            timeout_s=self._question.start_timeout_s,
            legacy_after_s=link.hello_patience_s(HELLO_TIMEOUT_S),
            check_stop=self._check_stop,
        )
        hello = link.handshake.hello
        if not is_alive and hello is None:
            raise self._ended()
        if hello is not None:
            link.check_hello(hello, "output")
        if "dead_letters" not in link.capabilities:
            raise ConfigError(
                "provider.no_dead_letters",
                f'output provider "{link.name}" keeps no dead letters',
                place=self._spec.place,
                hint="A row that it cannot deliver stops its stream.",
            )
        learn_settings(link, self._redactor, self._question.cwd, self._events.log, self._check_stop)

    def _ask(self) -> None:
        question = self._question
        command = DeadLettersCommand(
            "dead_letters",
            dict(self._link.config),
            run=RunOptions(task=question.task, max_line=question.max_line),
            infrastructure=question.infrastructure,
            dead_letters=question.request,
        )
        self._link.writer.send(encode(command))

    def _await_end(self) -> int:
        heard_s = time.monotonic()
        is_row_next = False
        while True:
            self._obey_stop()
            line = self._link.next_line(TICK_S)
            if line is None:
                raise self._ended()
            if not line:
                if "heartbeat" in self._link.capabilities and time.monotonic() - heard_s > _SILENCE_S:
                    raise failures.silent("output", self._spec, _SILENCE_S)
                continue
            heard_s = time.monotonic()
            if is_row_next:
                self._events.row(line)
                is_row_next = False
                continue
            control = self._decoded(line)
            if isinstance(control, DeadLettersDone):
                return control.count
            if isinstance(control, DeadLetter):
                self._delivered += control.outcome == "delivered"
                self._events.letter(self._clean(control))
                is_row_next = self._question.request.action == "show"
            elif isinstance(control, Log):
                self._events.log(control.level, control.event, **self._redactor.value(decode_log_fields(line)))
            elif isinstance(control, Error):
                raise failures.by_provider(self._spec, control)

    def _decoded(self, line: bytes) -> object:
        if not line.startswith(CONTROL_PREFIX):
            raise failures.bad_line("output", self._spec, BadLine("expected a control line"))
        try:
            return decode_dead_letter(line) or decode_control(line)
        except BadLine as error:
            raise failures.bad_line("output", self._spec, error) from error

    def _obey_stop(self) -> None:
        if not self._stop.is_requested:
            return
        if self._stopped_s is None:
            if self._question.request.action != "replay":
                raise _Stopped
            self._stopped_s = time.monotonic()
            self._link.writer.send(encode(Stop(int(_CANCEL_S * 1000))))
        elif self._stop.is_urgent or time.monotonic() - self._stopped_s > _CANCEL_S:
            self._link.process.end(signal.SIGKILL)
            raise _Stopped

    def _check_stop(self) -> None:
        if self._stop.is_requested:
            raise _Stopped

    def _heard(self, line: bytes) -> None:
        try:
            self._link.handshake.heard(line)
        except BadLine as error:
            raise failures.bad_line("output", self._spec, error) from error

    def _ended(self) -> SystemFault:
        process = self._link.process
        process.wait(_EXIT_GRACE_S)
        return SystemFault(
            "provider.died",
            f'output provider "{self._spec.label}" {failures.ending(process.exit_code)} before it had answered',
            place=self._spec.place,
            hint="Run the command again: a replay resumes.",
            details=process.last_stderr_lines(),
        )

    def _clean(self, letter: DeadLetter) -> DeadLetter:
        return replace(letter, detail=self._redactor.text(letter.detail))

    def _stderr(self, text: str) -> None:
        self._events.log("warning", "provider.stderr", text=self._redactor.text(text))
