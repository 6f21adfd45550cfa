"""One run of one task, from the lock to the last event, with as many pairs of providers as needed.

The threads of a run, each the only one on its pipe (rule 7):

    main            starts the processes, controls start and drain, decides; never touches a row
    input-stdout    the relay: input.stdout -> output.stdin, the only path that may block
    output-stdout   acks -> ledger
    state-writer    settled state -> disk, then the ack -> input-stdin
    input-stdin     line 1, welcome, acks and stop, from a queue (output-stdin: line 1 only)
    input-stderr, output-stderr     log lines
    input-wait, output-wait         exits

All threads report to main through one mailbox. Main joins them when both processes are gone. The processes are children
of main, which outlives them: Linux ties the parent-death signal to the thread that forked. Main is the thread that
called `run_task`, one per task.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dstream.errors import DStreamError, RefusedError
from dstream.host.provider.link import MustRestart
from dstream.host.run.attempt import Attempt, timestamp
from dstream.host.run.broken import Interrupted
from dstream.host.run.context import RunContext
from dstream.host.run.control_socket import Answer, ControlSocket, socket_path
from dstream.host.run.faults import fault_of
from dstream.host.run.job import Events, Job, Progress, RunSummary, StopRequest
from dstream.host.run.limits import Limits
from dstream.host.run.notes import Mailbox, Wake
from dstream.host.run.report import RunReport
from dstream.host.run.restarts import MOST_CRASHES, RestartSchedule
from dstream.host.run.standby import leased
from dstream.host.run.tracing import Tracer
from dstream.protocol.messages import Role
from dstream.redact import Redactor, environment_secrets
from dstream.state import StoredState, open_store


def run_task(
    job: Job,
    *,
    events: Events,
    stop: StopRequest,
    tracer: Tracer | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    chance: Callable[[], float] = random.random,
) -> RunSummary:
    """Stream until the input ends, `stop` is requested, a limit is reached or an error is final.

    Emits run.started when both providers are ready for the first time, run.restarting and run.restarted around each
    further pair, run.finished at the end. Raises DStreamError with redacted texts; by then both processes are gone and
    everything acknowledged is stored. `Interrupted` never escapes: an interrupted run returns with `drained` false.
    """
    specs = [spec for spec in (job.input, job.transform, job.output) if spec is not None]
    secrets = frozenset().union(*(spec.secrets for spec in specs)) | job.state.secrets | environment_secrets(os.environ)
    redactor = Redactor(secrets=secrets, configs=tuple(spec.config for spec in specs))
    report = RunReport(job.task, events, redactor, clock=clock, now=now, progress_every_s=job.progress_every_s)
    try:
        limits = Limits(job.max_duration_s, job.max_rows)
        with (
            contextlib.closing(open_store(job.state, job.task)) as store,
            leased(job, store, report, stop, now) as lease,
        ):
            context = RunContext(job, store, lease, report, redactor, stop, limits, clock, now, tracer)
            if job.reset and lease is not None:
                report.log("warning", "state.reset", had_checkpoint=store.remove(lease))
            _check_from(job, store.load())
            run = _Run(context, RestartSchedule(job.restart, chance))
            with _answering(context, run.answer):
                return run.go()
    except Interrupted:  # while it waited for the lease
        report.enter("finished")
        progress = Progress(condition=report.condition)
        return RunSummary(job.task, job.run_id, now(), now(), 0.0, drained=True, progress=progress)
    except Exception as error:
        fault = redactor.error(fault_of(error, job.task))
        report.enter("failed", _cause(fault))
        report.log("error", "run.failed", code=fault.code, message=fault.message)
        if fault is error:
            raise
        raise fault from error


class _Run:
    """Runs one pair after another until one succeeds or fails with a final error."""

    def __init__(self, context: RunContext, schedule: RestartSchedule) -> None:
        self._context = context
        self._report = context.report
        self._schedule = schedule
        self._patient_with: set[Role] = set()
        self._was_ready = False
        self._streaming_since_s: float | None = None
        self._started_at = context.now()
        self._begin_attempt(Progress())

    def go(self) -> RunSummary:
        with self._woken_by_stop():
            drained = self._supervise()
        self._report.enter("finished")
        summary = self._summary(drained)
        self._report.progress(summary.progress)
        self._report.log(
            "info" if drained else "warning",
            "run.finished",
            rows=summary.rows,
            rows_s=round(summary.rows_s),
            rejected=summary.progress.rows_rejected,
            checkpoints=summary.checkpoints,
            restarts=summary.progress.restarts,
            drained=drained,
            undone=summary.progress.rows_relayed - summary.rows,
        )
        return summary

    def answer(self, name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a request of the control socket, on its thread."""
        if name == "stop":
            self._context.stop.request()
            return {"stopping": True}
        if name == "status":
            return self._live_figures()
        if name == "snapshot":
            tables = [str(each) for each in request["tables"]]
            refusal = self._attempt.request_snapshot(tables)
            return {"error": refusal} if refusal else {"requested": tables}
        raise LookupError(name)

    def _live_figures(self) -> Mapping[str, Any]:
        """Figures of the whole run; `rows` are settled at the destination, `in_flight` read but not yet settled."""
        job, progress = self._context.job, self._attempt.progress()
        return {
            "task": job.task,
            "run_id": job.run_id,
            "pid": os.getpid(),
            "started_at": timestamp(self._started_at),
            "phase": progress.condition.phase,
            "reason": progress.condition.reason,
            "since": timestamp(progress.condition.since or self._started_at),
            "ready": progress.condition.is_ready,
            "input": job.input.label,
            "transform": job.transform.label if job.transform else None,
            "output": job.output.label,
            "rows": progress.rows_settled,
            "rows_rejected": progress.rows_rejected,
            "in_flight": progress.rows_relayed - progress.rows_settled,
            "bytes": progress.bytes_relayed,
            "checkpoints": progress.checkpoints_stored,
            "lag_ms": progress.lag_ms,
            "time_to_loss_s": progress.time_to_loss_s,
            "restarts": progress.restarts,
        }

    def _supervise(self) -> bool:
        """Return whether the run was drained."""
        while True:
            try:
                return self._attempt.go(self._patient_with, started=self._event_of_start()) and self._is_whole()
            except MustRestart as late:
                self._patient_with.add(late.role)
                self._begin_attempt(self._attempt.progress())
            except DStreamError as error:
                if not self._waits_to_restart(error):
                    return False

    def _event_of_start(self) -> str:
        return "run.restarted" if self._was_ready else "run.started"

    def _is_whole(self) -> bool:
        """Return False if a stop was requested before a restarted pair could deliver what the last one dropped."""
        return self._attempt.ready_since_s is not None or not self._was_ready

    def _failing(self, error: DStreamError | None, what: str) -> None:
        """A pair has failed; ending it may take seconds. `error`: None while the cause is unknown."""
        if self._attempt.ready_since_s is not None:
            self._was_ready = True
        if self._attempt.has_acknowledged:
            self._schedule.acknowledged()
        restarts = not self._context.stop.is_requested and self._schedule.may_restart(
            error, was_ready=self._was_ready, has_progressed=self._attempt.has_progressed
        )
        self._report.cannot_read(self._attempt.oldest_read_s)
        self._report.enter("restarting" if restarts else "failed", what if error is None else _cause(error))

    def _waits_to_restart(self, error: DStreamError) -> bool:
        """Wait until the next start; return False to end the run instead. Raises a final error."""
        attempt, clock = self._attempt, self._context.clock
        if attempt.ready_since_s is not None:
            self._streaming_since_s = self._streaming_since_s or attempt.ready_since_s
        if attempt.has_acknowledged:
            self._schedule.acknowledged()
        now_s = clock()
        start_s = self._schedule.next_start_s(
            error, now_s, was_ready=self._was_ready, has_progressed=attempt.has_progressed
        )
        if self._schedule.is_crash_loop:
            loop = f"It failed {MOST_CRASHES} times in a row at the same position; another restart would not help."
            error.hint = f"{error.hint}\n{loop}" if error.hint else loop
        if start_s is None or attempt.is_draining:
            raise error
        self._report.enter("restarting", _cause(error))
        figures = attempt.progress()
        self._report.progress(figures)
        self._report.log(
            "warning",
            "run.restarting",
            attempt=self._schedule.attempts,
            max_attempts=self._context.job.restart.max_attempts,
            in_s=round(start_s - now_s, 1),
            code=error.code,
            message=error.message,
        )
        if not self._sleeps_until(start_s):
            return False
        self._begin_attempt(replace(figures, restarts=figures.restarts + 1))
        return True

    def _sleeps_until(self, start_s: float) -> bool:
        """Wait; return False if a stop is requested first."""
        while not self._context.stop.is_requested:
            self._context.check_lease()
            left_s = start_s - self._context.clock()
            if left_s <= 0:
                return True
            self._report.tick(self._attempt.progress)
            with contextlib.suppress(queue.Empty):
                self._mailbox.get(timeout=min(left_s, self._context.job.progress_every_s))
        return False

    def _begin_attempt(self, before: Progress) -> None:
        self._mailbox: Mailbox = queue.SimpleQueue()
        self._attempt = Attempt(self._context, self._mailbox, before, self._failing)

    def _summary(self, drained: bool) -> RunSummary:
        since = self._streaming_since_s or self._attempt.ready_since_s
        return RunSummary(
            task=self._context.job.task,
            run_id=self._context.job.run_id,
            started_at=self._started_at,
            ended_at=self._context.now(),
            streamed_s=0.0 if since is None else self._context.clock() - since,
            drained=drained,
            progress=self._attempt.progress(),
        )

    @contextlib.contextmanager
    def _woken_by_stop(self) -> Iterator[None]:
        def wake() -> None:
            self._mailbox.put(Wake())

        self._context.stop.attach(wake)
        try:
            yield
        finally:
            self._context.stop.detach(wake)


@contextlib.contextmanager
def _answering(context: RunContext, answer: Answer) -> Iterator[None]:
    """Serve the control socket; if it is unavailable, the run continues, because rows matter more than figures."""
    job = context.job
    if job.socket_dir is None:
        yield
        return
    path = socket_path(job.socket_dir, job.state.stack, job.task)
    try:
        server = ControlSocket(path, answer)
    except OSError as error:
        context.report.log("warning", "control.unavailable", path=str(path), reason=error.strerror or str(error))
        yield
        return
    server.start()
    try:
        yield
    finally:
        server.close()


def _cause(error: DStreamError) -> str:
    return f"{error.code}: {error.message}"


def _check_from(job: Job, stored: StoredState | None) -> None:
    if job.from_ is None or stored is None or job.is_look:
        return
    raise RefusedError(
        "state.exists",
        f'task "{job.task}" has a checkpoint (stored {stored.stored_at}), so it cannot start from "{job.from_}"',
        place=job.input.place,
        hint="Omit --from to resume from the checkpoint, or add --reset to delete it.",
    )
