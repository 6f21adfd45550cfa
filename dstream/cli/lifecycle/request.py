"""One lifecycle command over several tasks, run concurrently; a failed task does not stop the others."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from dstream.cli.checking import Checkable, problems_in
from dstream.cli.lifecycle.deployment import Deployment, load_deployment
from dstream.cli.lifecycle.log import CommandLog
from dstream.cli.lifecycle.traced import command_span, traced_task
from dstream.cli.lifecycle.unset import left_out
from dstream.cli.options import Options
from dstream.cli.project import deployment_record, infrastructure_of, load_project, spec_of, task_of
from dstream.cli.stopping import stopped_by_signals
from dstream.cli.view.answer import Answer
from dstream.config import Project, Task
from dstream.errors import ConfigError, ConfigErrors, DStreamError, RefusedError, exit_code
from dstream.host import (
    LifecycleEvents,
    LifecycleJob,
    LifecycleOutcome,
    NoInfrastructure,
    StopRequest,
    run_lifecycle,
)
from dstream.protocol.lifecycle import LifecycleName, LifecycleOptions
from dstream.protocol.messages import Diagnostic

if TYPE_CHECKING:
    from dstream.telemetry.otlp.commands import CommandSpan

_FINISHING = "Cancelling: finishing the steps under way and recording them."
_CANCELLING: dict[LifecycleName, str] = {
    "plan": "Cancelling.",
    "status": "Cancelling.",
    "init": _FINISHING,
    "destroy": _FINISHING,
}
_DOING: dict[LifecycleName, str] = {
    "plan": "planning",
    "status": "reading the actual state",
    "init": "checking the plan",
    "destroy": "checking the plan",
}
_AT_ONCE = max(4, os.cpu_count() or 1)
"""Maximum number of concurrent tasks; the engine limits the resources of each."""


class Request:
    """The tasks of one command; `names` None: all tasks in the file.

    Raises ConfigErrors, ConfigError `task.unknown`.
    """

    def __init__(
        self,
        options: Options,
        names: Sequence[str] | None,
        *,
        by_record: bool = False,
        destroys: bool = False,
        orphan: str = "",
    ) -> None:
        """`by_record`: the command uses the record, so settings that only `run` needs may be unset. `orphan`: a task
        that the file lacks, to be treated with the settings of the named one.
        """
        names = None if names is None else list(dict.fromkeys(names))
        self._options = options
        self._deployment: Deployment | None = None
        self._is_orphan = bool(orphan)
        self._without_infrastructure: dict[tuple[str, ...], NoInfrastructure] = {}
        """Executables that have no infrastructure; the tasks after the first need not start them."""
        self._signal = 0
        if options.deployment is not None:
            self._deployment = load_deployment(options, names, by_record=by_record, is_destroyed=destroys)
            self.project, self.tasks = self._deployment.project, list(self._deployment.subjects)
            self._left_out: dict[str, list[str]] = {}
            return
        # A machine that only provisions may lack what inputs need.
        self.project = load_project(options, only=names, roles=["output"], defer_unset=by_record)
        self.tasks = [task_of(self.project, name) for name in (self.project.tasks if names is None else names)]
        if orphan:
            self._adopt(orphan)
        self._left_out = left_out(self.project, self.tasks)

    @property
    def names(self) -> list[str]:
        return [task.name for task in self.tasks]

    @property
    def is_deployment(self) -> bool:
        return self._deployment is not None

    def ask(
        self,
        command: LifecycleName,
        options_of: Callable[[str], LifecycleOptions],
        log: CommandLog,
        *,
        tasks: Sequence[Task] | None = None,
        needs_infrastructure: bool = True,
    ) -> list[Answer]:
        """Return one answer per task, in order. The first signal cancels all tasks, the second kills them."""
        tasks = self.tasks if tasks is None else tasks
        stop = StopRequest()
        span = command_span()
        log.begin(_DOING[command])
        # A child's parent-death signal is tied to the thread that started it; the pool's threads outlive all children.
        try:
            with (
                stopped_by_signals(partial(self._stop, stop), log.say, _CANCELLING[command]),
                ThreadPoolExecutor(_AT_ONCE, "lifecycle") as pool,
            ):
                answers: list[Answer] = []
                for wave in self._waves(command, tasks):
                    if any(not answer.is_success for answer in answers):
                        answers += [_not_reached(task, answers) for task in wave]
                        continue
                    futures = [
                        pool.submit(self._ask, task, command, options_of(task.name), log, stop, span) for task in wave
                    ]
                    answers += [future.result() for future in futures]
        finally:
            log.end()
        return answers if needs_infrastructure else [_without_infrastructure(answer) for answer in answers]

    def refuse_declared_twice(self, options: Options) -> None:
        """Raise ConfigErrors if one of the tasks declares what another task of the file declares, too; of a deployment,
        another one of these tasks.
        """
        if self._deployment:
            apps = [task for task in self.tasks if task.name != self._deployment.name]
            self._refuse_claims(self.project, [Checkable(task, task.output, task.output.config) for task in apps])
            return
        outputs = [spec_of(task.output, self.project).argv for task in self.tasks]
        references = {None, *(task.output.provider_ref for task in self.tasks)}  # others need not be pulled
        try:
            whole = load_project(options, roles=["output"], ask_vaults=False, defer_unset=True)
            others = [
                Checkable(task, task.output, task.output.config)
                for task in whole.tasks.values()
                if task.output.provider_ref in references
                and spec_of(task.output, whole).argv in outputs
                and not (task.output.unset or task.output.unread)
            ]
        except (ConfigError, ConfigErrors):
            return  # an error in another task
        self._refuse_claims(whole, others)

    def _refuse_claims(self, project: Project, blocks: Sequence[Checkable]) -> None:
        if len(blocks) < 2:
            return
        found = problems_in(project, blocks, only_claims=True, of=self.names)
        if found:
            raise ConfigErrors(found)

    def exit_code(self, answers: Sequence[Answer]) -> int:
        """Return the exit code for the first task that did not succeed."""
        for answer in answers:
            if answer.is_interrupted:
                return exit_code("interrupted", signal=self._signal)
            if answer.error:
                return exit_code(answer.error)
        return exit_code("done")

    def _waves(self, command: LifecycleName, tasks: Sequence[Task]) -> Sequence[Sequence[Task]]:
        """The tasks to treat concurrently, one group after the other."""
        if self._deployment is None or command in ("plan", "status"):
            return [tasks]
        return self._deployment.waves(command, tasks)

    def _record_of(self, task: Task) -> str:
        return deployment_record(self._deployment.name, task.name) if self._deployment else task.name

    def _adopt(self, orphan: str) -> None:
        if orphan in self.project.tasks:
            raise ConfigError(
                "lifecycle.not_orphan",
                f"task {orphan} is in {self.project.path}",
                hint="Name it as TASK, without --orphan.",
            )
        task = replace(self.tasks[0], name=orphan)
        self.project = replace(self.project, tasks={**self.project.tasks, orphan: task})
        self.tasks = [task]

    def _stop(self, stop: StopRequest, number: int) -> None:
        self._signal = number
        stop.request()

    def _ask(
        self,
        task: Task,
        command: LifecycleName,
        options: LifecycleOptions,
        log: CommandLog,
        stop: StopRequest,
        span: CommandSpan | None,
    ) -> Answer:
        begun_s = time.monotonic()
        outcome, error = None, None
        events: LifecycleEvents = _Renamed(log.of(task.name), self._options)
        for message in self._left_out.pop(task.name, ()):
            events.diagnostic(Diagnostic(message, "info"))
        try:
            if stop.is_requested:
                outcome = LifecycleOutcome(task.output.label, is_interrupted=True)
            else:
                outcome = self._run(
                    _job(self.project, task, self._record_of(task), command, options), events, stop, span
                )
                outcome = replace(outcome, message=self._options.commands_in(outcome.message))
                error = outcome.error
                if self._is_orphan:
                    outcome = replace(outcome, where="")  # of the task whose settings are used
        except DStreamError as failure:
            error = failure
        return Answer(task.name, task.output.label, time.monotonic() - begun_s, outcome, error)

    def _run(
        self, job: LifecycleJob, events: LifecycleEvents, stop: StopRequest, span: CommandSpan | None
    ) -> LifecycleOutcome:
        executable = tuple(job.output.argv)
        if known := self._without_infrastructure.get(executable):
            raise known.at(job.output.place)
        try:
            return traced_task(job.command, job.task, events, span, lambda to: run_lifecycle(job, events=to, stop=stop))
        except NoInfrastructure as error:
            self._without_infrastructure[executable] = error
            raise


class _Renamed:
    """The events of a task, with the commands of `dstream deploy` in messages about a deployment."""

    def __init__(self, events: LifecycleEvents, options: Options) -> None:
        self._options = options
        self._events = events
        self.log, self.resource = events.log, events.resource

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        message = self._options.commands_in(diagnostic.message)
        self._events.diagnostic(msgspec.structs.replace(diagnostic, message=message))


def _without_infrastructure(answer: Answer) -> Answer:
    if not isinstance(answer.error, NoInfrastructure):
        return answer
    return Answer(answer.task, answer.label, answer.elapsed_s, has_no_infrastructure=True, ended_s=answer.ended_s)


def _not_reached(task: Task, before: Sequence[Answer]) -> Answer:
    failed = next(answer.task for answer in before if not answer.is_success)
    error = RefusedError(
        "deploy.not_reached",
        f"{task.name} was not changed, because {failed} did not succeed",
        hint="Fix the error of that one, then run the same command again.",
    )
    return Answer(task.name, task.output.label, error=error)


def _job(project: Project, task: Task, record: str, command: LifecycleName, options: LifecycleOptions) -> LifecycleJob:
    return LifecycleJob(
        task=task.name,
        command=command,
        output=spec_of(task.output, project),
        infrastructure=infrastructure_of(project, record),
        options=options,
        cwd=project.folder,
        start_timeout_s=task.start_timeout_s,
    )
