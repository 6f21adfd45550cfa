"""init, plan, status, destroy: start the output provider alone with that command, hear it out, see it end (rule 14).

Its last line says how it went; its exit code means nothing, and a pipe that it closes is no error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from dstream.errors import DStreamError, SystemFault
from dstream.host.lifecycle.job import LifecycleEvents, LifecycleJob, LifecycleOutcome, NoInfrastructure
from dstream.host.lifecycle.process import LifecycleProcess
from dstream.host.provider import failures
from dstream.host.provider.memory import patience_s, remember_protocol
from dstream.host.provider.secret_settings import NotDescribed, secret_values
from dstream.host.run.job import Progress, StopRequest
from dstream.host.run.report import RunReport
from dstream.protocol import CONTROL_PREFIX, MAX_CONTROL_LINE
from dstream.protocol.framing import LineTooLong
from dstream.protocol.handshake import Greeted, Handshake, LateHello, Prose, Refused, Step, Told, speaks_this_version
from dstream.protocol.lifecycle import LifecycleCommand, LifecycleResult, ListedResource, decode_result
from dstream.protocol.messages import (
    BadLine,
    Diagnostic,
    Difference,
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
from dstream.redact import Redactor

_TICK_S = 0.1
_ROW_BEGINS = (b'{"data":', b'{"metadata":', b'{"Data":', b'{"Metadata":')
ResourceT = TypeVar("ResourceT", Resource, ListedResource)


def run_lifecycle(
    job: LifecycleJob,
    *,
    events: LifecycleEvents,
    stop: StopRequest,
    clock: Callable[[], float] = time.monotonic,
) -> LifecycleOutcome:
    """Carry the command out; on return the process is gone. The first stop request cancels it, a second one kills it.

    Raises NoInfrastructure or another ConfigError before anything is written to a provider that can't do it, and
    DStreamError for one that broke the protocol or died. What the provider itself says went wrong is in the outcome.
    """
    redactor = Redactor(secrets=job.output.secrets, configs=(job.output.config,))
    try:
        try:
            hello_timeout_s = patience_s(job.output.argv, job.hello_timeout_s)
            return _Command(job, events, redactor, stop, clock, hello_timeout_s).go()
        except _SaidHelloLate:
            return _Command(job, events, redactor, stop, clock, None).go()
    except DStreamError as error:
        redactor.error(error)
        raise


class _SaidHelloLate(Exception):
    """It was taken for a provider of the original protocol, and is none: start it again, and wait for it."""


class _Cancelled(Exception):
    """The user wants no more of it."""


class _LogOnly:
    """What Report asks for; nothing streams here."""

    def __init__(self, events: LifecycleEvents) -> None:
        self.log = events.log

    def progress(self, progress: Progress) -> None:
        pass


class _Command:
    """One process with one command. `hello_timeout_s` None: it is known to say hello, however late."""

    def __init__(
        self,
        job: LifecycleJob,
        events: LifecycleEvents,
        redactor: Redactor,
        stop: StopRequest,
        clock: Callable[[], float],
        hello_timeout_s: float | None,
    ) -> None:
        self._job = job
        self._spec = job.output
        self._events = events
        self._redactor = redactor
        self._report = RunReport(job.task, _LogOnly(events), redactor)
        self._stop = stop
        self._clock = clock
        self._hello_timeout_s = hello_timeout_s
        self._handshake = Handshake()
        self._diagnostics: list[Diagnostic] = []
        self._cancelled_s: float | None = None

    def go(self) -> LifecycleOutcome:
        self._report.name("output", self._spec.label)
        self._process = LifecycleProcess(self._job, lambda text: self._report.text("output", text, stream="stderr"))
        try:
            self._await_hello()
            self._ask()
            result = self._await_result()
            remember_protocol(self._spec.argv, is_legacy=self._handshake.is_legacy)
            self._process.leave()
        except _Cancelled:
            return self._interrupted()
        except LineTooLong as error:
            raise failures.line_too_long("output", self._spec, self._job.task, error) from error
        except DStreamError:
            if self._cancelled_s is not None:
                return self._interrupted()
            raise
        finally:
            self._process.end()
            self._process.join()
        return self._outcome(result)

    def _await_hello(self) -> None:
        """Or the certainty that there will be none. Nothing is written before (rule 1)."""
        deadline_s = self._clock() + (self._hello_timeout_s or self._job.start_timeout_s)
        while self._handshake.hello is None and not self._handshake.is_legacy:
            if self._stop.is_requested:
                raise _Cancelled
            line = self._next_line()
            if line:
                step = self._heard(line)
                if isinstance(step, Greeted):
                    self._check(step.hello)
            elif self._clock() >= deadline_s:
                if self._hello_timeout_s is None:
                    raise failures.not_ready(
                        "output", self._spec, "hello", self._job.start_timeout_s, self._process.last_stderr_lines()
                    )
                self._handshake.treat_as_legacy()

    def _check(self, hello: Hello) -> None:
        if not speaks_this_version(hello):
            raise failures.wrong_protocol("output", self._spec, hello)
        if hello.role != "output":
            raise failures.input_has_no_lifecycle(self._spec, hello.name)
        if "infrastructure" not in hello.capabilities:
            name = hello.name or self._spec.label
            raise NoInfrastructure(
                "provider.no_infrastructure",
                f'"{name}" is an output provider without infrastructure and doesn\'t support lifecycle commands',
                place=self._spec.place,
                hint="It writes to what exists already: `dstream run` needs no init.",
            )
        self._report.name("output", hello.name)
        try:
            self._redactor.learn(secret_values(self._spec, hello, "output", self._job.cwd))
        except NotDescribed:
            self._report.log("warning", "provider.not_described", role="output", provider=hello.name)

    def _ask(self) -> None:
        self._handshake.asked()
        job = self._job
        command = LifecycleCommand(job.command, dict(self._spec.config), job.infrastructure, job.options)
        self._process.send(encode(command))
        if self._handshake.is_legacy:
            self._process.close_stdin()  # those of the original read their config up to EOF

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
                suspicion = f"it speaks the original protocol, and may not know {self._job.command}"
                self._report.log("warning", "provider.quiet", provider=self._spec.label, suspicion=suspicion)

    def _obey_stop(self) -> None:
        if not self._stop.is_requested:
            return
        if self._cancelled_s is None:
            self._cancelled_s = self._clock()
            if self._handshake.is_legacy:
                self._process.terminate()
            else:
                self._process.send(encode(Stop(int(self._job.cancel_deadline_s * 1000))))
        elif self._stop.is_urgent or self._clock() - self._cancelled_s > self._job.cancel_deadline_s:
            self._process.kill()
            raise _Cancelled

    def _next_line(self) -> bytes:
        """b"" when none came for a while."""
        line = self._process.next_line(_TICK_S)
        if line is not None:
            return line
        code = self._process.exit_code()
        raise failures.ended_without_result(self._spec, code, self._job.command, self._process.last_stderr_lines())

    def _take(self, line: bytes) -> None:
        """Any line but the last."""
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

    def _heard(self, line: bytes) -> Step | None:
        """A line as the handshake understands it."""
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
            raise _SaidHelloLate
        elif self._handshake.is_legacy and line.startswith(_ROW_BEGINS):
            raise failures.input_has_no_lifecycle(self._spec, self._spec.label)
        return step

    def _prose(self, line: bytes) -> None:
        self._report.text("output", line.decode("utf-8", "replace").rstrip(), stream="stdout")

    @property
    def _sends_heartbeats(self) -> bool:
        hello = self._handshake.hello
        return hello is not None and "heartbeat" in hello.capabilities

    def _outcome(self, result: LifecycleResult) -> LifecycleOutcome:
        error = None
        if result.status == "Failed":
            message = result.message or f"{self._job.command} failed, and it gave no reason"
            error = self._redactor.error(
                failures.by_provider(self._spec, result.error)
                if result.error
                else SystemFault("provider.failed", message, place=self._spec.place)
            )
        return LifecycleOutcome(
            provider=self._name,
            resources=[self._clean(each) for each in result.resources],
            outputs=self._redactor.value(result.metadata.get("outputs") or {}),
            plan=self._plan(result),
            figures=[
                self._redactor.value(each) for each in result.metadata.get("figures") or [] if isinstance(each, dict)
            ],
            where=self._text(str(result.metadata.get("where") or "")),
            message=self._text(result.message),
            diagnostics=tuple(self._diagnostics),
            error=error,
            is_interrupted=error is not None and self._cancelled_s is not None,
            is_legacy=self._handshake.is_legacy,
        )

    def _plan(self, result: LifecycleResult) -> Mapping[str, Any] | None:
        """As the provider gave it: it comes back to it. What is hidden in what is shown may not be in there at all."""
        plan = result.metadata.get("plan")
        if not isinstance(plan, dict) or not plan:
            return None
        if self._redactor.is_in(msgspec.json.encode(plan)):
            raise SystemFault(
                "plan.secret",
                f'output provider "{self._name}" put a secret of its configuration into its plan document',
                place=self._spec.place,
                hint="A plan may be kept in a file. Please report this to whoever makes the provider.",
            )
        return plan

    def _interrupted(self) -> LifecycleOutcome:
        return LifecycleOutcome(
            self._name, diagnostics=tuple(self._diagnostics), is_interrupted=True, is_legacy=self._handshake.is_legacy
        )

    @property
    def _name(self) -> str:
        hello = self._handshake.hello
        return (hello.name if hello else "") or self._spec.label

    def _clean(self, resource: ResourceT) -> ResourceT:
        value = self._redactor.value
        diff = [Difference(each.path, value(each.old, each.path), value(each.new, each.path)) for each in resource.diff]
        return msgspec.structs.replace(
            resource, name=self._text(resource.name), diff=diff, note=self._text(resource.note)
        )

    def _text(self, text: str) -> str:
        return self._redactor.text(text)
