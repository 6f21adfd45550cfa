"""One pair of providers from start to exit, and the cause of a failure."""

from __future__ import annotations

import contextlib
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence, Set
from datetime import UTC, datetime

from dstream.errors import ConfigError, DStreamError, RefusedError, UnreachableError
from dstream.host.provider import failures
from dstream.host.provider.described import learn_settings
from dstream.host.provider.link import MustRestart
from dstream.host.run.broken import Interrupted, Lost
from dstream.host.run.checkpoints import Checkpoints
from dstream.host.run.context import RunContext
from dstream.host.run.faults import fault_of
from dstream.host.run.job import Progress
from dstream.host.run.ledger import Settled
from dstream.host.run.notes import Failed, Mailbox, Note, Said, Stored
from dstream.host.run.opening import Opening
from dstream.host.run.pair import LAST_WORDS_S, Pair
from dstream.host.run.start_slots import StartSlot
from dstream.host.run.streaming import Streaming
from dstream.host.run.tracing import RowTraces
from dstream.protocol.handshake import Refused
from dstream.protocol.messages import Ack, Role, SnapshotRequest, encode
from dstream.state import Lease, StoredState


class Attempt:
    """One pair; call `go` once. Any note in `mailbox` wakes it. `before`: the figures of the run's earlier pairs.

    `failing` is called as soon as the pair has failed, with the error and what is known without it, before the pair is
    shut down.
    """

    def __init__(
        self,
        context: RunContext,
        mailbox: Mailbox,
        before: Progress,
        failing: Callable[[DStreamError | None, str], None],
    ) -> None:
        self._context = context
        self._job = context.job
        self._report = context.report
        self._mailbox = mailbox
        self._before = before
        self._failing = failing
        self._stored: StoredState | None = None
        self._keeps_state = True
        self._has_moved = False
        self._is_store_away = False
        traces = RowTraces(context.tracer, context.clock, time.time_ns) if context.tracer is not None else None
        self._checkpoints = Checkpoints(self._save, self._acknowledge, self._state_failed, context.may_pass_on, traces)
        self._streaming: Streaming | None = None
        self._slot = StartSlot()
        self._start_s = 0.0
        self.ready_since_s: float | None = None
        """When both providers were ready."""

    @property
    def oldest_read_s(self) -> float | None:
        """When the oldest row that is not settled was read at the source."""
        return self._checkpoints.counts.oldest_read_s

    @property
    def is_draining(self) -> bool:
        return self._streaming is not None and self._streaming.is_draining

    @property
    def has_acknowledged(self) -> bool:
        """Whether a checkpoint of this pair was stored, and so acknowledged to the input."""
        return self._checkpoints.counts.last_stored > 0

    @property
    def has_progressed(self) -> bool:
        """Whether this pair moved the stored position, or delivered rows."""
        return self._has_moved or self._checkpoints.counts.rows_settled > 0

    def request_snapshot(self, tables: Sequence[str]) -> str:
        """Ask the input to read all rows of these tables, from any thread. Return why that is impossible, or ""."""
        if self._streaming is None or self._streaming.is_draining:
            return "the task is not streaming"
        source = self._pair.input
        if "snapshot" not in source.capabilities:
            return f'the input provider "{source.name}" does not support snapshots of a running task'
        source.writer.send(encode(SnapshotRequest(list(tables))))
        return ""

    def progress(self) -> Progress:
        """Return the figures of the run so far."""
        if self._streaming:
            return self._streaming.progress()
        own = Progress(
            holds_lease=self._context.may_pass_on(),
            condition=self._report.condition,
            lag_ms=self._report.lag_ms(None),
            metrics=self._report.metrics,
        )
        return own.after(self._before)

    def go(self, patient_with: Set[Role], *, started: str) -> bool:
        """Run the pair and return whether it was drained. `started`: the event to log when both providers are ready.

        Raises DStreamError if the pair failed, and MustRestart if a provider not in `patient_with` sent hello late. In
        all cases both processes are gone.
        """
        if not self._slot.take(self._stops_waiting):
            return True
        try:
            return self._go(patient_with, started)
        finally:
            self._slot.free()

    def _go(self, patient_with: Set[Role], started: str) -> bool:
        starts_elsewhere = self._job.is_look and self._job.from_ is not None
        self._stored = None if starts_elsewhere else self._context.store.load()
        if self._stored is None and self._before.checkpoints_stored:
            raise ConfigError(
                "state.none",
                f'the checkpoint of task "{self._job.task}" was deleted while it ran: {self._context.store.place}',
                place=self._job.input.place,
                hint=f"Restore it, e.g. with `dstream state rollback {self._job.task}`; otherwise the next run starts "
                "from scratch.",
            )
        self._start_s = self._context.clock()
        pair = Pair(self._job, self._report, self._mailbox, self._context.clock, self._is_urgent)
        self._pair = pair
        if self._job.max_rows is not None:
            pair.input.reader.wake_at_rows = self._job.max_rows - self._before.rows_settled
        try:
            self._open(pair, patient_with)
            self._stream(pair, started)
            return True
        except Interrupted:
            pair.shut_down(signal.SIGKILL if self._streaming else signal.SIGTERM)
            self._checkpoints.finish(self._is_urgent)
            return self._streaming is None or self._checkpoints.is_complete
        except MustRestart as late:
            self._report.log("warning", "provider.late_hello", role=late.role, provider=pair.side(late.role).name)
            raise
        except Lost as lost:
            self._failing(None, f"the end of {lost.role} provider {pair.side(lost.role).name}")
            raise self._cause(pair, lost.role) from None
        except DStreamError as error:
            if error.code == "state.lease_lost":
                pair.shut_down(signal.SIGKILL)  # the new holder publishes now
            self._failing(error, "")
            raise
        finally:
            pair.shut_down(signal.SIGTERM)
            self._checkpoints.finish(self._is_urgent)
            for side in pair.sides:
                if side.handshake.has_spoken:
                    side.remember_protocol()

    def _open(self, pair: Pair, patient_with: Set[Role]) -> None:
        context = self._context
        opening = Opening(context, pair, self._mailbox, self._tick_of_start, self._stored)
        modes = opening.greet(patient_with)
        self._slot.free()
        self._keeps_state = not (modes.host_checkpoints or self._job.is_look)
        self._checkpoints.sends_context = "trace" in pair.output.capabilities
        self._check_stored(pair)
        for side in pair.sides:
            learn_settings(side, context.redactor, self._job.cwd, self._report.log, opening.check_stop)
        self._checkpoints.start()
        opening.make_output_ready(self._checkpoints)
        opening.make_transform_ready(self._checkpoints, modes)
        opening.make_input_ready(self._checkpoints, modes)

    def _tick_of_start(self) -> None:
        self._report.tick(self.progress)
        if self._context.clock() - self._start_s > self._job.hello_timeout_s:
            self._slot.free()  # it waits for something else than a core

    def _stream(self, pair: Pair, started: str) -> None:
        context = self._context
        self.ready_since_s = context.clock()
        context.limits.started(self.ready_since_s)
        self._streaming = Streaming(context, pair, self._checkpoints, self._mailbox, self._before)
        self._report.enter("streaming")
        self._report.log(
            "info",
            started,
            run=self._job.run_id,
            input=pair.input.name,
            **({} if pair.transform is None else {"transform": pair.transform.name}),
            output=pair.output.name,
            resumed=self._stored is not None,
        )
        self._streaming.run()
        for side in pair.sides:
            if side.process.exit_code != 0:
                if side.role == "output" and "ack" not in side.capabilities:
                    # Without acks, only its exit code shows whether it kept its rows.
                    raise Lost("output")
                self._report.log(
                    "warning",
                    "provider.bad_exit",
                    role=side.role,
                    provider=side.name,
                    exit_code=side.process.exit_code,
                )

    def _check_stored(self, pair: Pair) -> None:
        """Refuse another input's checkpoint before any line 1 is written."""
        if self._stored is None:
            return
        if self._stored.input != pair.input.name:
            raise RefusedError(
                "state.foreign",
                f'the stored checkpoint belongs to the input provider "{self._stored.input}", '
                f'but this task reads with "{pair.input.name}"',
                place=self._job.input.place,
                hint=f"Rename the task, or delete the checkpoint with `dstream state rm {self._job.task}`.",
            )
        if self._stored.output != pair.output.name and not self._job.is_look:
            self._report.log("warning", "state.output_changed", stored=self._stored.output, output=pair.output.name)

    def _save(self, settled: Settled) -> bool:
        lease = self._context.lease
        if not self._keeps_state or lease is None:
            return False
        if self._context.redactor.is_in(bytes(settled.state)):
            raise failures.secret_in_state(self._job.input)
        self._store(
            StoredState(
                task=self._job.task,
                input=self._pair.input.name,
                output=self._pair.output.name,
                seq=settled.seq,
                stored_at=timestamp(self._context.now()),
                run_id=self._job.run_id,
                state=settled.state,
            ),
            lease,
        )
        self._has_moved = self._has_moved or self._stored is None or bytes(self._stored.state) != bytes(settled.state)
        return True

    def _store(self, state: StoredState, lease: Lease) -> None:
        """Save the state; log an outage of the backend once."""
        try:
            self._context.store.save(state, lease)
        except UnreachableError as error:
            if not self._is_store_away:
                self._is_store_away = True
                self._report.log("warning", "state.unavailable", reason=error.message)
            raise
        self._is_store_away = False

    def _acknowledge(self, settled: Settled) -> None:
        if "ack" in self._pair.input.capabilities and not self._job.is_look:
            self._pair.input.writer.send(encode(Ack(settled.seq)))
        if self._keeps_state:
            self._mailbox.put(Stored(settled.seq))

    def _stops_waiting(self) -> bool:
        self._report.tick(self.progress)
        return self._context.stop.is_requested

    def _is_urgent(self) -> bool:
        return self._context.stop.is_urgent

    def _state_failed(self, error: Exception) -> None:
        self._mailbox.put(Failed(None, fault_of(error, self._job.task)))

    def _cause(self, pair: Pair, role: Role) -> DStreamError:
        """End the pair and return the cause of the loss: the provider's own error if it sent one."""
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
        handshake = side.handshake
        was_killed = exit_code is not None and exit_code < 0
        if handshake.hello is None and handshake.first_prose is not None and not (handshake.is_ready or was_killed):
            return failures.no_hello(side.role, side.spec, handshake.first_prose)
        if side.role != "output" and handshake.is_ready and not exit_code:
            return failures.end_missing(side.role, side.spec, exit_code, stderr)
        return failures.died(side.role, side.spec, exit_code, was_ready=handshake.is_ready, stderr=stderr)

    def _heard_since(self) -> Iterator[Note]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._mailbox.get_nowait()


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
