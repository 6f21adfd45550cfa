"""The main thread while rows flow: watches exits and liveness, and drains in order (rules 8 to 11)."""

from __future__ import annotations

import contextlib
import queue
import signal

from dstream.host.provider import failures
from dstream.host.provider.link import MustRestart
from dstream.host.run.broken import Interrupted, Lost
from dstream.host.run.checkpoints import Checkpoints, Counts
from dstream.host.run.context import RunContext
from dstream.host.run.job import Progress
from dstream.host.run.notes import Exited, Failed, Mailbox, Note, Said, Stored
from dstream.host.run.pair import LAST_WORDS_S, AnySide, Pair
from dstream.host.run.relay import Relay
from dstream.protocol.handshake import LateHello, Refused, Step
from dstream.protocol.messages import Role, Stop, encode

_TICK_S = 0.2
_PAUSE_S = 10.0
"""If the main thread has not run for this long, the process was paused: SIGSTOP, `docker pause`, a frozen VM."""
BLOCKED_S = 5.0
"""An output that takes no rows for this long counts as throttled."""


class Streaming:
    """Runs from both providers ready to both exited. Raises DStreamError, Lost, MustRestart, Interrupted."""

    def __init__(
        self,
        context: RunContext,
        pair: Pair,
        checkpoints: Checkpoints,
        mailbox: Mailbox,
        before: Progress,
    ) -> None:
        """`before`: the figures of the run's earlier pairs."""
        self._job = context.job
        self._report = context.report
        self._stop = context.stop
        self._clock = context.clock
        self._limits = context.limits
        self._check_lease = context.check_lease
        self._may_pass_on = context.may_pass_on
        self._pair = pair
        self._checkpoints = checkpoints
        self._mailbox = mailbox
        self._before = before
        now = self._clock()
        self._drain_deadline_s: float | None = None
        self._exit_deadline_s: float | None = None
        self._next_summary_s = now + self._job.summary_every_s
        self._summarised: Progress | None = None
        self._summarised_rows = before.rows_settled
        self._start_s = now
        self._is_suspected = False
        self._is_broken = False
        self._summarised_s = now

    def run(self) -> None:
        """Return when everything the input read is durable and stored, and both processes are gone."""
        looked_s = self._clock()
        while not self._is_over():
            with contextlib.suppress(queue.Empty):
                self._hear(self._mailbox.get(timeout=_TICK_S), self._clock())
            self._check_lease()
            now = self._clock()
            if now - looked_s >= _PAUSE_S:
                for side in self._pair.sides:
                    side.reader.liveness.resumed(now)
            looked_s = now
            self._obey_stop(now)
            if self._checkpoints.is_complete:
                self._let_exit(now)
            else:
                self._check_alive(now)
            self._tell(now)
            self._checkpoints.end_traces()

    def progress(self) -> Progress:
        """Return the figures of the whole run."""
        counts = self._checkpoints.counts
        own = Progress(
            rows_relayed=counts.rows_relayed,
            rows_settled=counts.rows_settled,
            rows_rejected=counts.rows_rejected,
            bytes_relayed=self._pair.last_relay.bytes_relayed,
            checkpoints_stored=counts.stored,
            store_s=counts.store_s,
            checkpoints_in_flight=counts.in_flight,
            last_seq=counts.last_stored,
            holds_lease=self._may_pass_on(),
            condition=self._report.condition,
            lag_ms=self._report.lag_ms(self._oldest_read_s(counts)),
            metrics=self._report.metrics,
        )
        return own.after(self._before)

    def _oldest_read_s(self, counts: Counts) -> float | None:
        """When the oldest row that is not settled was read at the source."""
        transform = self._pair.transform
        if counts.oldest_read_s is None and transform is not None:
            return transform.reader.passage.oldest_read_s
        return counts.oldest_read_s

    @property
    def is_draining(self) -> bool:
        return self._drain_deadline_s is not None

    def _is_over(self) -> bool:
        return self._checkpoints.is_complete and all(side.exited_s is not None for side in self._pair.sides)

    def _hear(self, note: Note, now: float) -> None:
        if isinstance(note, Failed):
            raise note.error
        if isinstance(note, Said):
            self._hear_late(note.role, note.step)
        if isinstance(note, Stored):
            self._report.log("debug", "checkpoint.stored", seq=note.seq)
        for side in self._pair.sides:
            side.hear_end(note, now)
            if isinstance(note, Exited) and note.role == side.role:
                self._look_at_exit(side)

    def _look_at_exit(self, side: AnySide) -> None:
        """Log an exit that ends the pair immediately: its consequences are known only when both providers are gone."""
        if side.process.exit_code and not self._checkpoints.is_complete and not side.reader.expects_end:
            self._is_broken = True
            how = failures.ending(side.process.exit_code)
            self._report.log("warning", "provider.exited", role=side.role, provider=side.name, reason=how)

    def _hear_late(self, role: Role, step: Step) -> None:
        """Handle a status or hello from a legacy provider that already counts as ready."""
        spec = self._pair.side(role).spec
        if isinstance(step, Refused):
            raise failures.by_provider(spec, step.error)
        if isinstance(step, LateHello):
            if role == "output" and self._checkpoints.counts.rows_relayed:
                raise failures.late_hello(role, spec)
            raise MustRestart(role)

    def _obey_stop(self, now: float) -> None:
        if self._stop.is_urgent or (self._drain_deadline_s is not None and now >= self._drain_deadline_s):
            raise Interrupted
        if (
            self._drain_deadline_s is None
            and (self._stop.is_requested or self._has_enough(now))
            and not self._is_broken
        ):
            self._drain_deadline_s = now + self._job.drain_deadline_s
            self._report.enter("draining")
            self._report.log("info", "run.draining", deadline_s=self._job.drain_deadline_s)
            self._stop_input()

    def _has_enough(self, now: float) -> bool:
        rows = self._before.rows_settled + self._pair.input.reader.rows_relayed
        return not self._pair.input.reader.has_ended and self._limits.are_reached(now, rows)

    def _stop_input(self) -> None:
        side = self._pair.input
        if side.handshake.is_legacy:
            side.reader.expect_end()
            side.process.end(signal.SIGTERM)
        else:
            side.writer.send(encode(Stop(round(self._job.drain_deadline_s * 1000))))

    def _let_exit(self, now: float) -> None:
        """Close the input's stdin once everything is stored, so that it exits (rule 11)."""
        if self._exit_deadline_s is None:
            self._exit_deadline_s = now + self._job.exit_grace_s
            self._pair.input.writer.close()
        elif now >= self._exit_deadline_s:
            for side in self._pair.sides:
                if side.exited_s is None:
                    self._report.log("warning", "provider.ended_late", role=side.role, provider=side.name)
            raise Interrupted

    def _check_alive(self, now: float) -> None:
        for side in self._pair.sides:
            if self._is_lost(side, now):
                raise Lost(side.role)
            silent_s = side.reader.liveness.silent_s(now)
            if "heartbeat" in side.capabilities and side.exited_s is None and silent_s > self._job.silence_s:
                raise failures.silent(side.role, side.spec, silent_s)

    def _is_lost(self, side: AnySide, now: float) -> bool:
        """Return whether the provider is gone before its work was done."""
        if isinstance(side.reader, Relay):
            if side.reader.has_ended:
                return False
            if side.process.exit_code == 0 and side.closed_s is None:
                # Its rows are still in transit, at the output's speed.
                return side.reader.liveness.silent_s(now) > LAST_WORDS_S
        elif self._checkpoints.is_acknowledged:
            return False
        return side.is_gone(now)

    def _tell(self, now: float) -> None:
        is_blocked = self._pair.last_relay.blocked_s(now) >= BLOCKED_S
        self._report.blocked(is_blocked, is_unproven=not self._may_pass_on())
        progress = self._report.tick(self.progress)
        if progress is None:
            return
        self._suspect(progress, now)
        if now >= self._next_summary_s:
            self._next_summary_s = now + self._job.summary_every_s
            self._summarise(progress, now)

    def _suspect(self, progress: Progress, now: float) -> None:
        side = self._pair.input
        if self._is_suspected or progress.rows_relayed or not side.handshake.is_legacy:
            return
        if now - self._start_s >= self._job.quiet_s:
            self._is_suspected = True
            self._report.log("warning", "input.quiet", provider=side.name, reason="no row yet: is it an output?")

    def _summarise(self, progress: Progress, now: float) -> None:
        """Log the figures, unless nothing has happened since the last summary."""
        last, self._summarised = self._summarised, progress
        if last is not None and _is_quiet(last, progress):
            self._summarised_s = now
            return
        rows = progress.rows_settled - self._summarised_rows
        elapsed_s = now - self._summarised_s
        self._report.log(
            "info",
            "run.summary",
            phase=progress.condition.phase,
            rows=progress.rows_settled,
            rows_s=round(rows / elapsed_s) if elapsed_s > 0 else 0,
            lag_ms=progress.lag_ms,
            in_flight=progress.rows_relayed - progress.rows_settled,
            rejected=progress.rows_rejected,
            checkpoints=progress.checkpoints_stored,
            restarts=progress.restarts,
        )
        self._summarised_rows, self._summarised_s = progress.rows_settled, now


def _is_quiet(last: Progress, progress: Progress) -> bool:
    """Return whether a task is still streaming, and no row was read or settled."""
    moved = (last.rows_relayed, last.rows_settled) != (progress.rows_relayed, progress.rows_settled)
    is_waiting = progress.rows_relayed > progress.rows_settled
    return not moved and not is_waiting and last.condition.phase == progress.condition.phase == "streaming"
