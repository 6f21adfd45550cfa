"""Traces a lifecycle command, if the environment asks for OpenTelemetry."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dstream.cli.options import Options
from dstream.host import LifecycleEvents, LifecycleOutcome
from dstream.telemetry import StructuredLog
from dstream.telemetry.exporting import exporting

if TYPE_CHECKING:
    from dstream.telemetry.otlp.commands import CommandSpan

_current: ContextVar[CommandSpan | None] = ContextVar("command_span", default=None)


def traced_command(name: str, options: Options, command: Callable[[], int]) -> int:
    """Carry out the command and return its exit code. Warnings about the export follow its output."""
    warnings: list[tuple[str, dict[str, Any]]] = []

    def keep(level: str, event: str, /, **fields: Any) -> None:
        if level != "info":
            warnings.append((event, fields))

    try:
        with exporting(os.environ, keep) as export:
            traces = export.commands(os.environ) if export else None
            if traces is None:
                return command()
            with traces.command(name) as span:
                token = _current.set(span)
                try:
                    code = command()
                finally:
                    _current.reset(token)
                span.exited(code)
                return code
    finally:
        log = StructuredLog(sys.stderr, format=options.log_format or "text", level=options.level)
        for event, fields in warnings:
            log.log("warning", event, **fields)


def traced_task(
    name: str,
    task: str,
    events: LifecycleEvents,
    within: CommandSpan | None,
    run: Callable[[LifecycleEvents], LifecycleOutcome],
) -> LifecycleOutcome:
    """Run a phase of a command for one task. `within`: what `command_span` returned on the command's thread."""
    return run(events) if within is None else within.task(name, task, events, run)


def command_span() -> CommandSpan | None:
    return _current.get()
