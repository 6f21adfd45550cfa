"""Concurrent task runs, each in its own thread: isolated, stopped together, reported as they end."""

from __future__ import annotations

import contextlib
import queue
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dstream.cli.view.progress import TaskLog
from dstream.errors import DStreamError, exit_code
from dstream.host import Job, RunSummary, StopRequest, run_task
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
    """Runs several tasks. Iterate `ends` once; `stop` can be called from a signal handler."""

    def __init__(self, jobs: Sequence[Job], log_of: Callable[[str], TaskLog], *, fail_fast: bool) -> None:
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._threads = [_TaskRun(job, log_of(job.task), self) for job in jobs]
        self._fail_fast = fail_fast
        self.signal = 0

    def stop(self, signal: int) -> None:
        """Stop the runs: the first call drains, the next one kills."""
        is_first, self.signal = not self.signal, signal
        self._request(only_running=is_first)

    def ends(self) -> Iterator[Ended]:
        """Start all runs and yield each end as it occurs; finally, join the threads."""
        _allow_many_files()
        for thread in self._threads:
            try:
                thread.start()
            except RuntimeError:  # the other tasks are running and must go on
                self.over(Ended(thread.job, failures.out_of_threads(thread.job.task), was_running=False, signal=0))
        for _ in self._threads:
            # Signal handlers run while SimpleQueue.get waits (PEP 475 treats it like a lock).
            ended = self._ended.get()
            if self._fail_fast and ended.exit_code:
                self._request(only_running=True)
            yield ended
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def over(self, ended: Ended) -> None:
        self._ended.put(ended)

    def _request(self, *, only_running: bool) -> None:
        for thread in self._threads:
            if not (only_running and thread.stop.is_requested):
                thread.stop.request()


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
            outcome = run_task(self.job, events=self._log, stop=self.stop)
        except DStreamError as error:
            outcome = error
        self._runs.over(Ended(self.job, outcome, self._log.was_running, self._runs.signal))


def _allow_many_files() -> None:
    """Raise the soft limit of open files, often 1024, to the hard one: each task needs about ten."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS allows fewer than its hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
