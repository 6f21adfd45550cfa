"""Concurrent task runs, each in its own thread: isolated, stopped together, reported as they end."""

from __future__ import annotations

import contextlib
import queue
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dstream.cli.view.progress import TaskLog
from dstream.errors import DStreamError, exit_code
from dstream.host import Job, ProviderSpec, RunSummary, StopRequest, run_task
from dstream.host.provider import failures


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: with a summary or an error. `signal`: the signal that stopped it, 0 for none."""

    job: Job
    outcome: RunSummary | DStreamError
    was_running: bool
    signal: int

    @property
    def exit_code(self) -> int:
        if isinstance(self.outcome, RunSummary):
            return exit_code("done" if self.outcome.drained else "interrupted", signal=self.signal)
        return exit_code(self.outcome, was_running=self.was_running)


class TaskRuns:
    """Runs several tasks. Iterate `ends` once; `stop` and `reload` can be called from any thread."""

    def __init__(
        self,
        jobs: Sequence[Job],
        log_of: Callable[[Job], TaskLog],
        *,
        fail_fast: bool,
        load: Callable[[], Sequence[Job] | None] = lambda: None,
    ) -> None:
        """`log_of` is called for each run of a task. `load`: read the jobs again, for `reload`; None keeps the current
        ones."""
        self._events: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()
        self._stopping = threading.Lock()
        self._log_of = log_of
        self._runs = {job.task: _TaskRun(job, log_of(job), self) for job in jobs}
        """Those that have not ended."""
        self._jobs = {job.task: job for job in jobs}
        """The last one of each task, also if its run has ended."""
        self._next: dict[str, Job] = {}
        """What follows a run that drains because its job has changed."""
        self._fail_fast = fail_fast
        self._load = load
        self._is_stopping = False
        self.signal = 0

    def stop(self, signal: int) -> None:
        """Stop the runs: the first call drains, the next one kills."""
        is_first, self.signal = not self.signal, signal
        self._request(only_running=is_first)

    def reload(self) -> None:
        """Read the jobs again, on the thread that iterates `ends`: drain and restart those that have changed, drain
        those that are gone, start new ones. A run whose job is the same is not touched."""
        self._events.put(None)

    def ends(self) -> Iterator[Ended]:
        """Start all runs and yield each end as it occurs. A run that a new one follows yields its end only if it
        failed. If an error ends the iteration, the runs are drained first: no thread goes on without its command."""
        _allow_many_files()
        try:
            for run in list(self._runs.values()):
                self._start(run)
            while self._runs:
                ended = self._events.get()
                if ended is None:
                    self._reload()
                    continue
                self._joined(self._runs.pop(ended.job.task))
                if self._fail_fast and ended.exit_code:
                    self._request(only_running=True)
                successor = self._next.pop(ended.job.task, None)
                if successor is None or isinstance(ended.outcome, DStreamError):
                    yield ended
                if successor is not None and not self._is_stopping:
                    self._begin(successor)
        finally:
            self._request(only_running=True)
            for run in self._runs.values():
                self._joined(run)

    def _joined(self, run: _TaskRun) -> None:
        if run.ident is not None:
            run.join()

    def over(self, ended: Ended) -> None:
        self._events.put(ended)

    def _reload(self) -> None:
        jobs = None if self._is_stopping else self._load()
        if jobs is None:
            return
        wanted = {job.task: job for job in jobs}
        for task, run in list(self._runs.items()):
            if task not in wanted:
                self._next.pop(task, None)
                self._drain(run)
            elif task in self._next or not is_same(run.job, wanted[task]):
                self._next[task] = wanted[task]
                self._drain(run)
        for task, job in wanted.items():
            if task not in self._runs and not (task in self._jobs and is_same(self._jobs[task], job)):
                self._begin(job)
        self._jobs = wanted

    def _begin(self, job: Job) -> None:
        run = self._runs[job.task] = _TaskRun(job, self._log_of(job), self)
        if self._is_stopping:  # by a signal meanwhile
            self._drain(run)
        self._start(run)

    def _start(self, run: _TaskRun) -> None:
        try:
            run.start()
        except RuntimeError:  # the other tasks are running and must go on
            self.over(Ended(run.job, failures.out_of_threads(run.job.task), was_running=False, signal=0))

    def _drain(self, run: _TaskRun) -> None:
        with self._stopping:  # a second request would kill it
            if not run.stop.is_requested:
                run.stop.request()

    def _request(self, *, only_running: bool) -> None:
        self._is_stopping = True
        for run in list(self._runs.values()):
            if only_running:
                self._drain(run)
            else:
                run.stop.request()


def is_same(job: Job, other: Job) -> bool:
    """Whether both jobs do the same, wherever they are written."""
    return _essence(job) == _essence(other)


def _essence(job: Job) -> tuple[object, ...]:
    specs = [
        None if each is None else (each.program, each.config, each.secrets)
        for each in (job.input, job.transform, job.output)
    ]
    nothing = ProviderSpec((), {}, "")
    rest = replace(job, run_id="", input=nothing, output=nothing, transform=None, transforms_place=None)
    return rest, specs


class _TaskRun(threading.Thread):
    """Starts a task's providers and outlives them: Linux ties their parent-death signal to this thread."""

    def __init__(self, job: Job, log: TaskLog, runs: TaskRuns) -> None:
        super().__init__(name=f"run-{job.task}")
        self.stop = StopRequest()
        self.job = job
        self._log = log
        self._runs = runs

    def run(self) -> None:
        outcome: RunSummary | DStreamError
        try:
            outcome = run_task(self.job, events=self._log, stop=self.stop, tracer=self._log.tracer)
        except DStreamError as error:
            outcome = error
        self._runs.over(Ended(self.job, outcome, self._log.was_running, self._runs.signal))


def _allow_many_files() -> None:
    """Raise the soft limit of open files, often 1024, to the hard one: each task needs about ten."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS allows fewer than its hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
