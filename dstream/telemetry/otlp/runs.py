"""Traces of a run: one span per batch of rows, from the first row that is read to the ack that covers the last.

Each is a trace of its own. Its context goes into the messages, so a consumer's spans belong to it (OpenTelemetry,
"Semantic conventions for messaging spans": the context of the send span may be the creation context of its messages).
Warnings of the run appear on the spans that wait meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dstream.host import Job, Progress, TracedRows
from dstream.telemetry.log import as_own_event, flat_fields
from dstream.telemetry.otlp.metrics import Instruments

_MOST_NOTED = 20
"""How many waiting spans a warning is added to, oldest first."""
_propagator = TraceContextTextMapPropagator()


class RunTelemetry:
    """Receives a run's events. `tracer` is for the host: None if traces are not exported."""

    def __init__(self, job: Job, tracer: Tracer | None, instruments: Instruments | None) -> None:
        self.tracer = None if tracer is None else RunTracer(job, tracer)
        self._instruments = instruments
        self._reported: set[tuple[str, str]] = set()

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        if self.tracer is not None and level in ("warning", "error"):
            self.tracer.note(level, event, fields)

    def progress(self, progress: Progress) -> None:
        reported = {(each.name, each.kind) for each in progress.metrics}
        if self._instruments is not None and not reported <= self._reported:
            self._reported |= reported
            self._instruments.refresh()


class OtlpSpan:
    """One open span (the host's `RowsSpan`). `ended` is called when it ends."""

    def __init__(self, span: Span, ended: Callable[[OtlpSpan], None]) -> None:
        self.span = span
        self._ended = ended

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, set_span_in_context(self.span, Context()))
        return carrier["traceparent"]

    def end(self, traced: TracedRows) -> None:
        if not self.span.is_recording():
            return
        self._ended(self)
        self.span.set_attributes(
            {
                "dstream.rows": traced.rows,
                "dstream.bytes": traced.size,
                "dstream.rows_rejected": traced.rejected,
                "dstream.checkpoint.first": traced.first_checkpoint,
                "dstream.checkpoint.last": traced.last_checkpoint,
            }
        )
        if traced.last_checkpoint:
            self.span.add_event("dstream.read", timestamp=traced.read_ns)
        if traced.settled_ns is None:
            self.span.set_status(StatusCode.ERROR, "not acknowledged: the next run reads these rows again")
        self.span.end(traced.settled_ns)


class RunTracer:
    """The host's tracer of one run."""

    def __init__(self, job: Job, tracer: Tracer) -> None:
        self._tracer = tracer
        self._name = f"publish {job.task}"
        self._attributes = {
            "dstream.task": job.task,
            "dstream.run_id": job.run_id,
            "dstream.input": job.input.label,
            "dstream.output": job.output.label,
        }
        self._lock = threading.Lock()
        self._open: deque[OtlpSpan] = deque()

    def begin(self) -> OtlpSpan:
        span = self._tracer.start_span(self._name, Context(), SpanKind.PRODUCER, self._attributes)
        opened = OtlpSpan(span, self._ended)
        if span.is_recording():
            with self._lock:
                self._open.append(opened)
        return opened

    def note(self, level: str, event: str, fields: dict[str, Any]) -> None:
        event, fields = as_own_event(event, {name: value for name, value in fields.items() if name != "task"})
        attributes = {"level": level, **{name: value for name, value in flat_fields(fields) if value is not None}}
        with self._lock:
            waiting = list(islice(self._open, _MOST_NOTED))
        for each in waiting:
            each.span.add_event(event, attributes)

    def _ended(self, ended: OtlpSpan) -> None:
        with self._lock:
            self._open.remove(ended)
