"""init, plan, status, destroy: start only the output provider, send the command and read its result (rule 14).

The provider's last line is the result; its exit code and a closed stdin are ignored.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from dstream.errors import DStreamError, SystemFault
from dstream.host.lifecycle.job import LifecycleEvents, LifecycleJob, LifecycleOutcome, NoInfrastructure
from dstream.host.provider import failures
from dstream.host.provider.described import learn_settings
from dstream.host.provider.link import TICK_S, LineLink, MustRestart, shut_down
from dstream.host.run.faults import fault_of
from dstream.host.run.job import Progress, StopRequest
from dstream.host.run.report import RunReport
from dstream.protocol import CONTROL_PREFIX, MAX_CONTROL_LINE
from dstream.protocol.framing import LineTooLong
from dstream.protocol.handshake import LateHello, Prose, Refused, Told
from dstream.protocol.lifecycle import LifecycleCommand, LifecycleResult, ListedResource, decode_result
from dstream.protocol.messages import (
    BadLine,
    Diagnostic,
    Difference,
    DisplayText,
    Error,
    Heartbeat,
    Hello,
    Log,
    Metric,
    Resource,
    Stop,
    decode_control,
    encode,
)
from dstream.redact import Redactor, environment_secrets

_ROW_BEGINS = (b'{"data":', b'{"metadata":', b'{"Data":', b'{"Metadata":')
ResourceT = TypeVar("ResourceT", Resource, ListedResource)


def run_lifecycle(
    job: LifecycleJob,
    *,
    events: LifecycleEvents,
    stop: StopRequest,
    clock: Callable[[], float] = time.monotonic,
) -> LifecycleOutcome:
    """Carry out the command; on return the process is gone. The first stop request cancels it, the second kills it.

    Raises NoInfrastructure or another ConfigError before writing to a provider that does not support the command, and
    DStreamError if the provider breaks the protocol or dies. A failure that the provider reports is in the outcome.
    """
    redactor = Redactor(secrets=job.output.secrets | environment_secrets(os.environ), configs=(job.output.config,))
    try:
        try:
            return _Command(job, events, redactor, stop, clock).go(is_certain_of_hello=False)
        except MustRestart:
            return _Command(job, events, redactor, stop, clock).go(is_certain_of_hello=True)
    except Exception as error:
        fault = redactor.error(fault_of(error, job.task))
        if fault is error:
            raise
        raise fault from error


class _Cancelled(Exception):
    """The user cancelled the command."""


class _LogOnly:
    """The events of a run, without progress."""

    def __init__(self, events: LifecycleEvents) -> None:
        self.log = events.log

    def progress(self, progress: Progress) -> None:
        pass


class _Command:
    """One process with one command."""

    def __init__(
        self,
        job: LifecycleJob,
        events: LifecycleEvents,
        redactor: Redactor,
        stop: StopRequest,
        clock: Callable[[], float],
    ) -> None:
        self._job = job
        self._spec = job.output
        self._events = events
        self._redactor = redactor
        self._report = RunReport(job.task, _LogOnly(events), redactor)
        self._stop = stop
        self._clock = clock
        self._diagnostics: list[Diagnostic] = []
        self._cancelled_s: float | None = None

    def go(self, *, is_certain_of_hello: bool) -> LifecycleOutcome:
        """Carry it out. Raises MustRestart if the provider sends hello late, unless `is_certain_of_hello`."""
        self._report.name("output", self._spec.label)
        self._link = LineLink("output", self._spec, cwd=self._job.cwd, on_stderr=self._stderr)
        self._handshake = self._link.handshake
        try:
            self._greet(is_certain_of_hello=is_certain_of_hello)
            self._ask()
            result = self._await_result()
            self._link.remember_protocol()
            self._link.let_exit(self._job.exit_grace_s)
        except _Cancelled:
            return self._interrupted()
        except LineTooLong as error:
            raise failures.line_too_long("output", self._spec, self._job.task, error) from error
        except DStreamError:
            if self._cancelled_s is not None:
                return self._interrupted()
            raise
        finally:
            shut_down([self._link], signal.SIGTERM, self._job.exit_grace_s, lambda: self._stop.is_urgent)
        return self._outcome(result)

    def _greet(self, *, is_certain_of_hello: bool) -> None:
        patience_s = None if is_certain_of_hello else self._link.hello_patience_s(self._job.hello_timeout_s)
        if not self._link.greet(
            self._heard,
            timeout_s=self._job.start_timeout_s,
            legacy_after_s=patience_s,
            check_stop=self._check_stop,
            clock=self._clock,
        ):
            raise self._ended()
        hello = self._handshake.hello
        if hello is not None:
            self._check(hello)
            self._report.name("output", hello.name)
        learn_settings(self._link, self._redactor, self._job.cwd, self._report.log, self._check_stop)

    def _check(self, hello: Hello) -> None:
        self._link.check_hello(hello, None)
        if hello.role != "output":
            raise failures.input_has_no_lifecycle(self._spec, hello.name)
        if "infrastructure" not in hello.capabilities:
            raise NoInfrastructure(
                "provider.no_infrastructure",
                f'"{self._link.name}" is an output provider without infrastructure and doesn\'t support lifecycle '
                "commands",
                place=self._spec.place,
                hint="It writes to existing resources: run `dstream run` without init.",
            )

    def _check_stop(self) -> None:
        if self._stop.is_requested:
            raise _Cancelled

    def _ask(self) -> None:
        self._handshake.asked()
        job = self._job
        command = LifecycleCommand(job.command, dict(self._link.config), job.infrastructure, job.options)
        self._link.writer.send(encode(command))
        if self._handshake.is_legacy:
            self._link.writer.close()  # a legacy provider reads its config until EOF

    def _await_result(self) -> LifecycleResult:
        heard_s = self._clock()
        is_suspected = False
        while True:
            self._obey_stop()
            line = self._next_line()
            if line:
                heard_s = self._clock()
                result = decode_result(line)
                if result is not None:
                    return result
                self._take(line)
                continue
            quiet_s = self._clock() - heard_s
            if self._sends_heartbeats and quiet_s >= self._job.silence_s:
                raise failures.silent("output", self._spec, quiet_s)
            if self._handshake.is_legacy and not is_suspected and quiet_s >= self._job.quiet_s:
                is_suspected = True
                suspicion = f"it speaks the original protocol and may not know {self._job.command}"
                self._report.log("warning", "provider.quiet", provider=self._spec.label, suspicion=suspicion)

    def _obey_stop(self) -> None:
        if not self._stop.is_requested:
            return
        job = self._job
        deadline_s = job.read_only_cancel_s if job.is_read_only else job.cancel_deadline_s
        if self._cancelled_s is None:
            self._cancelled_s = self._clock()
            if self._handshake.is_legacy:
                self._link.process.end(signal.SIGTERM)
            else:
                self._link.writer.send(encode(Stop(int(deadline_s * 1000))))
        elif self._stop.is_urgent or self._clock() - self._cancelled_s > deadline_s:
            self._link.process.end(signal.SIGKILL)
            raise _Cancelled

    def _next_line(self) -> bytes:
        """Return the next line, or b"" if none arrives for a moment."""
        line = self._link.next_line(TICK_S)
        if line is None:
            raise self._ended()
        return line

    def _ended(self) -> DStreamError:
        process = self._link.process
        process.wait(self._job.exit_grace_s)
        return failures.ended_without_result(
            self._spec, process.exit_code, self._job.command, process.last_stderr_lines()
        )

    def _take(self, line: bytes) -> None:
        """Handle any line but the result."""
        if self._handshake.is_legacy:
            self._take_legacy(line)
        elif line.startswith(CONTROL_PREFIX):
            self._take_control(line)
        else:
            self._heard(line)

    def _take_legacy(self, line: bytes) -> None:
        if line.startswith(_ROW_BEGINS):
            raise failures.input_has_no_lifecycle(self._spec, self._spec.label)
        if not self._handshake.is_ready:
            self._heard(line)
        else:
            self._prose(line)

    def _take_control(self, line: bytes) -> None:
        if len(line) > MAX_CONTROL_LINE:
            raise LineTooLong("control", len(line), MAX_CONTROL_LINE)
        try:
            control = decode_control(line)
        except BadLine as error:
            raise failures.bad_line("output", self._spec, error) from error
        if isinstance(control, Resource):
            self._events.resource(self._clean(control))
        elif isinstance(control, Diagnostic):
            clean = Diagnostic(self._text(control.message), control.severity, self._text(control.name))
            self._diagnostics.append(clean)
            self._events.diagnostic(clean)
        elif isinstance(control, (Heartbeat, Log, Metric)):
            self._report.told("output", control, line)
        elif isinstance(control, Error):
            raise failures.by_provider(self._spec, control)

    def _heard(self, line: bytes) -> None:
        """Pass a line to the handshake and act on the step."""
        try:
            step = self._handshake.heard(line)
        except BadLine as error:
            raise failures.bad_line("output", self._spec, error) from error
        if isinstance(step, Told):
            self._report.told("output", step.control, step.line)
        elif isinstance(step, Prose):
            self._prose(line)
        elif isinstance(step, Refused):
            raise failures.by_provider(self._spec, step.error)
        elif isinstance(step, LateHello):
            raise MustRestart("output")
        elif self._handshake.is_legacy and line.startswith(_ROW_BEGINS):
            raise failures.input_has_no_lifecycle(self._spec, self._spec.label)

    def _stderr(self, text: str) -> None:
        self._report.text("output", text, stream="stderr")

    def _prose(self, line: bytes) -> None:
        self._report.text("output", line.decode("utf-8", "replace").rstrip(), stream="stdout")

    @property
    def _sends_heartbeats(self) -> bool:
        hello = self._handshake.hello
        return hello is not None and "heartbeat" in hello.capabilities

    def _outcome(self, result: LifecycleResult) -> LifecycleOutcome:
        error = None
        if result.status == "Failed":
            message = result.message or f"{self._job.command} failed without giving a reason"
            error = self._redactor.error(
                failures.by_provider(self._spec, result.error)
                if result.error
                else SystemFault("provider.failed", message, place=self._spec.place)
            )
        outputs, figures = (self._redactor.value(result.metadata.get(name)) for name in ("outputs", "figures"))
        return LifecycleOutcome(
            provider=self._link.name,
            resources=[self._clean(each) for each in result.resources],
            outputs=outputs if isinstance(outputs, dict) else {},
            plan=self._plan(result),
            figures=[each for each in figures if isinstance(each, dict)] if isinstance(figures, list) else [],
            where=self._text(str(result.metadata.get("where") or "")),
            message=self._text(result.message),
            diagnostics=tuple(self._diagnostics),
            error=error,
            is_interrupted=error is not None and self._cancelled_s is not None,
            is_legacy=self._handshake.is_legacy,
        )

    def _plan(self, result: LifecycleResult) -> Mapping[str, Any] | None:
        """Return the plan document unchanged for the provider. Raises SystemFault if it contains a secret."""
        plan = result.metadata.get("plan")
        if not isinstance(plan, dict) or not plan:
            return None
        if self._redactor.is_in(msgspec.json.encode(plan)):
            raise SystemFault(
                "plan.secret",
                f'output provider "{self._link.name}" put a secret of its configuration into its plan document',
                place=self._spec.place,
                hint="A plan may be saved to a file. Report this to the provider's author.",
            )
        return plan

    def _interrupted(self) -> LifecycleOutcome:
        return LifecycleOutcome(
            self._link.name,
            diagnostics=tuple(self._diagnostics),
            is_interrupted=True,
            is_legacy=self._handshake.is_legacy,
        )

    def _clean(self, resource: ResourceT) -> ResourceT:
        return msgspec.structs.replace(
            resource,
            name=self._text(resource.name),
            type=self._text(resource.type),
            diff=[self._clean_difference(each) for each in resource.diff],
            note=self._text(resource.note),
            kind=self._display(resource.kind),
            held=self._display(resource.held),
            confirm=self._text(resource.confirm),
        )

    def _clean_difference(self, each: Difference) -> Difference:
        """Redact the values. A display text of a redacted value is dropped: its unit or format may hide the secret from
        the redactor.
        """
        old, new = self._redactor.difference(each.old, each.path), self._redactor.difference(each.new, each.path)
        return Difference(
            self._text(each.path),
            old,
            new,
            self._display(each.label),
            self._display(each.old_text) if old == each.old else msgspec.UNSET,
            self._display(each.new_text) if new == each.new else msgspec.UNSET,
        )

    def _display(self, text: DisplayText) -> DisplayText:
        return self._text(text) if text else msgspec.UNSET

    def _text(self, text: str) -> str:
        return self._redactor.text(text)
