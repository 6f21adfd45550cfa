"""Traces of lifecycle commands: a span for the command, one per task and phase, one per changed resource.

The parent of the command's span is TRACEPARENT, which a pipeline sets for its steps (OpenTelemetry, "Environment
Variables as Context Propagation Carriers").
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dstream.errors import DStreamError
from dstream.host import LifecycleEvents, LifecycleOutcome
from dstream.protocol.messages import Diagnostic, Resource


class CommandTraces:
    """The traces of one process, which carries out one command."""

    def __init__(self, tracer: Tracer, environ: Mapping[str, str]) -> None:
        self._tracer = tracer
        carrier = {name.lower(): environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in environ}
        self._parent = TraceContextTextMapPropagator().extract(carrier, Context())

    @contextlib.contextmanager
    def command(self, name: str) -> Iterator[CommandSpan]:
        """Trace the command, until its exit code is known or it raises."""
        span = self._tracer.start_span(f"dstream {name}", self._parent)
        traced = CommandSpan(self._tracer, span)
        try:
            yield traced
        except DStreamError as error:
            span.set_attribute("error.type", error.code)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()


class CommandSpan:
    """The span of a command."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = set_span_in_context(span, Context())

    def exited(self, code: int) -> None:
        """2 means that there are changes, with --detailed-exitcode."""
        self._span.set_attribute("process.exit.code", code)
        if code not in (0, 2):
            self._span.set_status(StatusCode.ERROR)

    def task(
        self,
        name: str,
        task: str,
        events: LifecycleEvents,
        run: Callable[[LifecycleEvents], LifecycleOutcome],
    ) -> LifecycleOutcome:
        """Trace a phase of the command, such as `plan`, for one task. The events are passed on."""
        span = self._tracer.start_span(name, self._context, attributes={"dstream.task": task})
        traced = TaskSpan(self._tracer, span, events)
        try:
            outcome = run(traced)
            if outcome.error is not None:
                _failed(span, outcome.error)
            return outcome
        except DStreamError as error:
            _failed(span, error)
            raise
        finally:
            traced.end()


class TaskSpan:
    """The span of a task (a `LifecycleEvents`), with a child for each resource that changes."""

    def __init__(self, tracer: Tracer, span: Span, events: LifecycleEvents) -> None:
        self._tracer = tracer
        self._span = span
        self._events = events
        self._context = set_span_in_context(span, Context())
        self._changing: dict[tuple[str, str], Span] = {}

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        self._events.log(level, event, **fields)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self._events.diagnostic(diagnostic)

    def resource(self, resource: Resource) -> None:
        self._events.resource(resource)
        key = (resource.type, resource.name)
        if resource.phase == "started":
            attributes = {"dstream.resource.name": resource.name, "dstream.resource.type": resource.type}
            kind = resource.kind or resource.type
            self._changing[key] = self._tracer.start_span(f"{resource.op} {kind}", self._context, attributes=attributes)
        elif (span := self._changing.pop(key, None)) is not None:
            if resource.phase == "failed":
                span.set_status(StatusCode.ERROR)
            span.end()

    def end(self) -> None:
        for span in self._changing.values():
            span.set_status(StatusCode.ERROR, "interrupted")
            span.end()
        self._span.end()


def _failed(span: Span, error: DStreamError) -> None:
    """Mark the span. The error comes from the host, which redacts its texts."""
    span.set_attribute("error.type", error.code)
    span.set_status(StatusCode.ERROR, error.message)
