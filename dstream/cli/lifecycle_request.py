"""One lifecycle command over the tasks that were named: each in turn, one that fails does not stop the others."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from dstream.cli.lifecycle_log import LifecycleLog
from dstream.cli.options import Options
from dstream.cli.plan_view import painter
from dstream.cli.project import infrastructure_of, load_project, spec_of, task_of
from dstream.config import Project, Task
from dstream.errors import DStreamError, exit_code
from dstream.host import LifecycleJob, LifecycleOutcome, NoInfrastructure, StopRequest, run_lifecycle
from dstream.protocol.lifecycle import LifecycleName, LifecycleOptions, ListedResource

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of the command for one task."""

    task: Task
    elapsed_s: float
    outcome: LifecycleOutcome | None = None
    error: DStreamError | None = None

    @property
    def has_no_infrastructure(self) -> bool:
        return isinstance(self.error, NoInfrastructure)

    @property
    def is_interrupted(self) -> bool:
        return self.outcome is not None and self.outcome.is_interrupted

    @property
    def is_success(self) -> bool:
        return self.error is None and not self.is_interrupted

    @property
    def resources(self) -> Sequence[ListedResource]:
        return self.outcome.resources if self.outcome else ()

    @property
    def provider(self) -> str:
        return self.outcome.provider if self.outcome else self.task.output.label

    def document(self) -> dict[str, Any]:
        """As `--json` shows it."""
        outcome = self.outcome
        kinds = [each.op for each in self.resources if each.phase != "failed"]
        return {
            "task": self.task.name,
            "provider": self.provider,
            "status": "success" if self.is_success else "interrupted" if self.is_interrupted else "failed",
            "resources": msgspec.to_builtins(list(self.resources)),
            "summary": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
            "outputs": dict(outcome.outputs or {}) if outcome else {},
            "diagnostics": [
                {"severity": each.severity, "message": each.message, "name": each.name}
                for each in (outcome.diagnostics if outcome else ())
            ],
            "message": outcome.message if outcome else "",
            "error": _error_document(self.error) if self.error else None,
        }


class Request:
    """The tasks of one call of the command line. Raises ConfigErrors, ConfigError `task.unknown`."""

    def __init__(self, options: Options, names: Sequence[str]) -> None:
        names = list(dict.fromkeys(names))
        self.options = options
        self.project = load_project(options, only=names)
        self.tasks = [task_of(self.project, name) for name in names]
        self._signal = 0

    def ask(self, command: LifecycleName, options: LifecycleOptions) -> list[Answer]:
        """One answer a task, up to the first that was interrupted."""
        answers: list[Answer] = []
        for task in self.tasks:
            answers.append(self._ask(task, command, options))
            if answers[-1].is_interrupted:
                break
        return answers

    def exit_code(self, answers: Sequence[Answer]) -> int:
        """That of the first that did not succeed; 128+n for one that signal n interrupted."""
        for answer in answers:
            if answer.is_interrupted:
                return 128 + self._signal
            if answer.error:
                return exit_code(answer.error)
        return 0

    def document(self, command: LifecycleName, answers: Sequence[Answer]) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "command": command,
            "stack": self.project.stack,
            "tasks": [answer.document() for answer in answers],
        }

    def _ask(self, task: Task, command: LifecycleName, options: LifecycleOptions) -> Answer:
        log = LifecycleLog(
            sys.stderr,
            level=self.options.level,
            log_format=self.options.log_format or "text",
            paint=painter(self.options.color(sys.stderr)),
            task=task.name,
        )
        stop = StopRequest()
        begun_s = time.monotonic()
        outcome, error = None, None
        try:
            with self._caught_signals(stop):
                job = _job(self.project, task, command, options)
                outcome = run_lifecycle(job, events=log, stop=stop)
                error = outcome.error
        except DStreamError as failure:
            error = failure
        log.end()
        return Answer(task, time.monotonic() - begun_s, outcome, error)

    @contextmanager
    def _caught_signals(self, stop: StopRequest) -> Iterator[None]:
        def on_signal(number: int, _: object) -> None:
            self._signal = number
            stop.request()

        before = [(number, signal.signal(number, on_signal)) for number in _SIGNALS]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)


def _job(project: Project, task: Task, command: LifecycleName, options: LifecycleOptions) -> LifecycleJob:
    return LifecycleJob(
        task=task.name,
        command=command,
        output=spec_of(task.output, project),
        infrastructure=infrastructure_of(project, task),
        options=options,
        cwd=project.folder,
        start_timeout_s=task.start_timeout_s,
    )


def _error_document(error: DStreamError) -> dict[str, Any]:
    return {
        "code": error.code,
        "kind": error.kind,
        "message": error.message,
        "hint": error.hint,
        "place": str(error.place) if error.place else None,
    }
