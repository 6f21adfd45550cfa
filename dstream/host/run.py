"""One run of one task, from the lock to the last event.

The threads of a run, each the only one on its pipe (rule 7):

    main            starts the processes, keeps the order of start and drain, judges; never touches a row
    input-stdout    the relay: input.stdout -> output.stdin, the only path that may block
    output-stdout   acks -> ledger
    state-writer    settled state -> disk, then the ack -> input-stdin
    input-stdin     line 1, welcome, acks and stop, from a queue (output-stdin: line 1 only)
    input-stderr, output-stderr     log lines
    input-wait, output-wait         exits

All but main report to it through one mailbox. Main joins them when both processes are gone. The processes are children
of main, which outlives them: Linux ties the parent-death signal to the thread that forked.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec

from dstream.errors import DStreamError, RefusedError
from dstream.host import failures
from dstream.host.broken import Broken, Interrupted, Lost, MustRestart
from dstream.host.checkpoints import Checkpoints
from dstream.host.job import Events, Job, Progress, RunSummary, StopRequest
from dstream.host.ledger import Settled
from dstream.host.notes import Failed, Mailbox, Note, Said, Stored, Wake
from dstream.host.opening import Opening
from dstream.host.pair import LAST_WORDS_S, Pair
from dstream.host.report import Report
from dstream.host.streaming import Streaming
from dstream.protocol.handshake import Refused
from dstream.protocol.messages import Ack, Role, encode
from dstream.redact import Redactor
from dstream.state import FileStore, StoredState, TaskLock


def run_task(
    job: Job,
    *,
    events: Events,
    stop: StopRequest,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RunSummary:
    """Stream until the input ends, `stop` is requested or something fails.

    Emits run.started when both providers are ready, run.finished in any case. Raises DStreamError, its texts redacted;
    then both processes are gone and what was acknowledged before is stored. `Interrupted` never leaves: a run that was
    cut short returns with `drained` false.
    """
    redactor = Redactor(secrets=job.input.secrets | job.output.secrets, configs=(job.input.config, job.output.config))
    report = Report(job.task, events, redactor)
    store = FileStore(job.state_dir, job.stack, job.task)
    try:
        with TaskLock(store.lock_path, job.task, now()):
            stored = store.load()
            _check_from(job, stored)
            return _Run(job, store, stored, report, redactor, stop, clock, now).go()
    except DStreamError as error:
        report.log("error", "run.failed", code=error.code, message=error.message)
        redactor.error(error)
        raise


class _Run:
    """One pair of providers, from start to end. A supervisor that restarts pairs will make one for each attempt."""

    def __init__(
        self,
        job: Job,
        store: FileStore,
        stored: StoredState | None,
        report: Report,
        redactor: Redactor,
        stop: StopRequest,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._job = job
        self._store = store
        self._stored = stored
        self._report = report
        self._redactor = redactor
        self._stop = stop
        self._clock = clock
        self._now = now
        self._patient_with: set[Role] = set()
        self._keeps_state = True
        self._mailbox: Mailbox = queue.SimpleQueue()
        self._streaming: Streaming | None = None
        self._streaming_since_s: float | None = None

    def go(self) -> RunSummary:
        started_at = self._now()
        drained: bool | None = None
        with self._woken_by_stop():
            while drained is None:
                drained = self._attempt()
        summary = self._summary(started_at, drained)
        self._report.progress(summary.progress)
        self._report.log(
            "info" if drained else "warning",
            "run.finished",
            rows=summary.rows,
            rows_s=round(summary.rows_s),
            rejected=summary.progress.rows_rejected,
            checkpoints=summary.checkpoints,
            drained=drained,
            undone=summary.progress.rows_relayed - summary.rows,
        )
        return summary

    def _attempt(self) -> bool | None:
        """Whether it was drained; None when it must be started again."""
        self._mailbox = queue.SimpleQueue()
        self._streaming = None
        pair = Pair(self._job, self._report, self._mailbox, self._clock)
        checkpoints = Checkpoints(self._save, self._acknowledge, self._state_failed)
        self._pair = pair
        try:
            self._open(pair, checkpoints)
            self._stream(pair, checkpoints)
            return True
        except Interrupted:
            pair.shut_down(signal.SIGKILL if self._streaming else signal.SIGTERM)
            checkpoints.finish()
            return self._streaming is None or checkpoints.is_complete
        except MustRestart as late:
            self._report.log("warning", "provider.late_hello", role=late.role, provider=pair.side(late.role).name)
            self._patient_with.add(late.role)
            return None
        except Broken as broken:
            raise broken.error from None
        except Lost as lost:
            raise self._cause(pair, lost.role) from None
        finally:
            pair.shut_down(signal.SIGTERM)
            checkpoints.finish()

    def _open(self, pair: Pair, checkpoints: Checkpoints) -> None:
        opening = Opening(self._job, pair, self._report, self._mailbox, self._stop, self._clock)
        modes = opening.greet(self._patient_with)
        self._keeps_state = not modes.host_checkpoints
        self._check_stored(pair)
        checkpoints.start()
        opening.make_output_ready(checkpoints)
        opening.make_input_ready(checkpoints, modes, self._stored.state if self._stored else msgspec.Raw(b"{}"))

    def _stream(self, pair: Pair, checkpoints: Checkpoints) -> None:
        self._streaming_since_s = self._clock()
        self._streaming = Streaming(self._job, pair, checkpoints, self._report, self._mailbox, self._stop, self._clock)
        self._report.log(
            "info",
            "run.started",
            run=self._job.run_id,
            input=pair.input.name,
            output=pair.output.name,
            resumed=self._stored is not None,
        )
        self._streaming.run()
        for side in pair.sides:
            if side.process.exit_code != 0:
                if side.role == "output" and "ack" not in side.capabilities:
                    # Its exit code is all that it says of the rows it got.
                    raise Lost("output")
                self._report.log(
                    "warning",
                    "provider.bad_exit",
                    role=side.role,
                    provider=side.name,
                    exit_code=side.process.exit_code,
                )

    def _check_stored(self, pair: Pair) -> None:
        """Before any line 1: another input's state would be read as if it were this one's."""
        if self._stored is None:
            return
        if self._stored.input != pair.input.name:
            raise Broken(
                RefusedError(
                    "state.foreign",
                    f'the stored checkpoint belongs to the input provider "{self._stored.input}", '
                    f'this task reads with "{pair.input.name}"',
                    place=self._job.input.place,
                    hint=f"Rename the task, or forget the checkpoint with `dstream state rm {self._job.task}`.",
                ),
            )
        if self._stored.output != pair.output.name:
            self._report.log("warning", "state.output_changed", stored=self._stored.output, output=pair.output.name)

    def _save(self, settled: Settled) -> bool:
        if not self._keeps_state:
            return False
        if self._redactor.is_in(bytes(settled.state)):
            raise failures.secret_in_state(self._job.input)
        self._store.save(
            StoredState(
                task=self._job.task,
                input=self._pair.input.name,
                output=self._pair.output.name,
                seq=settled.seq,
                stored_at=_timestamp(self._now()),
                run_id=self._job.run_id,
                state=settled.state,
            )
        )
        return True

    def _acknowledge(self, settled: Settled) -> None:
        if "ack" in self._pair.input.capabilities:
            self._pair.input.writer.send(encode(Ack(settled.seq)))
        if self._keeps_state:
            self._mailbox.put(Stored(settled.seq))

    def _state_failed(self, error: DStreamError) -> None:
        self._mailbox.put(Failed(None, error))

    def _cause(self, pair: Pair, role: Role) -> DStreamError:
        """Ends the pair, then finds the best account of a loss: the provider's own, else what was seen of it."""
        side = pair.side(role)
        side.process.wait(LAST_WORDS_S)
        exit_code = side.process.exit_code
        pair.shut_down(signal.SIGTERM)
        for note in self._heard_since():
            if isinstance(note, Failed) and note.role == side.role:
                return note.error
            if isinstance(note, Said) and note.role == side.role and isinstance(note.step, Refused):
                return failures.by_provider(side.spec, note.step.error)
        stderr = side.process.last_stderr_lines()
        handshake = side.reader.handshake
        if handshake.hello is None and handshake.first_prose is not None:
            return failures.no_hello(side.role, side.spec, handshake.first_prose)
        if side.role == "input" and handshake.is_ready and not exit_code:
            return failures.end_missing(side.spec, exit_code, stderr)
        return failures.died(side.role, side.spec, exit_code, was_ready=handshake.is_ready, stderr=stderr)

    def _heard_since(self) -> Iterator[Note]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._mailbox.get_nowait()

    def _summary(self, started_at: datetime, drained: bool) -> RunSummary:
        since = self._streaming_since_s
        return RunSummary(
            task=self._job.task,
            run_id=self._job.run_id,
            started_at=started_at,
            ended_at=self._now(),
            streamed_s=0.0 if since is None else self._clock() - since,
            drained=drained,
            progress=self._streaming.progress() if self._streaming else Progress(),
        )

    @contextlib.contextmanager
    def _woken_by_stop(self) -> Iterator[None]:
        def wake() -> None:
            self._mailbox.put(Wake())

        self._stop.attach(wake)
        try:
            yield
        finally:
            self._stop.detach(wake)


def _check_from(job: Job, stored: StoredState | None) -> None:
    if job.from_ is None or stored is None:
        return
    raise RefusedError(
        "state.exists",
        f'task "{job.task}" has a checkpoint (of {stored.stored_at}), so it can\'t start from "{job.from_}"',
        place=job.input.place,
        hint="Leave --from out to go on from the checkpoint, or add --reset to forget it.",
    )


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
