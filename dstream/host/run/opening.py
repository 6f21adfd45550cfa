"""The start of a pair, in order (rule 1): all hellos, roles and capabilities; then the output, the transform and the
input become ready."""

from __future__ import annotations

import queue
from collections.abc import Callable, Set
from dataclasses import replace

import msgspec

from dstream.errors import DStreamError
from dstream.host.provider import failures
from dstream.host.provider.link import TICK_S, MustRestart
from dstream.host.run.broken import Interrupted, Lost
from dstream.host.run.checkpoints import Checkpoints
from dstream.host.run.context import RunContext
from dstream.host.run.job import Job
from dstream.host.run.notes import Failed, Mailbox, Said
from dstream.host.run.pair import AnySide, Pair
from dstream.host.run.relay import Modes
from dstream.protocol import PROTOCOL_VERSION
from dstream.protocol.handshake import Greeted, LateHello, Ready, Refused, Step
from dstream.protocol.messages import Command, Infrastructure, Role, RunOptions, Welcome, encode
from dstream.protocol.transforms import CAPABILITY
from dstream.state import StoredState

_NO_STATE = msgspec.Raw(b"{}")


class Opening:
    """Brings fresh processes to ready. Raises DStreamError, Lost, MustRestart, Interrupted."""

    def __init__(
        self,
        context: RunContext,
        pair: Pair,
        mailbox: Mailbox,
        tick: Callable[[], object],
        stored: StoredState | None,
    ) -> None:
        """`tick` is called while it waits, several times per second. `stored`: the checkpoint to resume from."""
        self._job = context.job
        self._report = context.report
        self._stop = context.stop
        self._clock = context.clock
        self._check_lease = context.check_lease
        self._pair = pair
        self._mailbox = mailbox
        self._tick = tick
        self._stored = stored

    def greet(self, patient_with: Set[Role]) -> Modes:
        """Wait until each provider has sent hello or counts as legacy. Nothing is written to either before that.

        `patient_with`: the roles known to send hello, even if late.
        """
        waiting: set[Role] = {side.role for side in self._pair.sides}
        start_s = self._clock()
        deadlines_s = {
            role: start_s + self._pair.side(role).hello_patience_s(self._job.hello_timeout_s)
            for role in waiting - patient_with - {"transform"}  # one without hello cannot be used
        }
        while waiting:
            earliest_s = min(deadlines_s.values(), default=None)
            heard = self._next_step(waiting, "hello", start_s + self._job.start_timeout_s, earliest_s)
            if heard is None:
                for role in [role for role, deadline_s in deadlines_s.items() if deadline_s == earliest_s]:
                    del deadlines_s[role]
                    if self._counts_as_legacy(role):
                        waiting.discard(role)
                continue
            role, step = heard
            if isinstance(step, LateHello):
                raise MustRestart(role)
            if isinstance(step, Greeted):
                side = self._pair.side(role)
                side.check_hello(step.hello, role)
                self._report.name(role, side.name)
            waiting.discard(role)
            deadlines_s.pop(role, None)
        return self._modes()

    def make_output_ready(self, checkpoints: Checkpoints) -> None:
        self._pair.output.reader.attach(checkpoints)
        self._make_receiver_ready(self._pair.output)

    def make_transform_ready(self, checkpoints: Checkpoints, modes: Modes) -> None:
        """Without a transform, do nothing."""
        side = self._pair.transform
        if side is None:
            return
        self._pair.output.rows_from = side.reader
        side.reader.attach(self._pair.output, checkpoints, Modes(settles_on_write=modes.settles_on_write))
        self._make_receiver_ready(side)

    def _make_receiver_ready(self, side: AnySide) -> None:
        side.handshake.asked()
        side.writer.send(self._line_1(side, _NO_STATE))
        # A relay writes to it from here on, so the writer ends after line 1.
        side.writer.release()
        self._await_ready(side)
        deadline_s = self._clock() + self._job.start_timeout_s
        while side.writer.is_alive():
            self.check_stop()
            if self._clock() >= deadline_s:
                raise self._not_ready(side, "read of line 1")
            side.writer.join(TICK_S)

    def make_input_ready(self, checkpoints: Checkpoints, modes: Modes) -> None:
        side = self._pair.input
        transform = self._pair.transform
        if transform is None:
            self._pair.output.rows_from = side.reader
            side.reader.attach(self._pair.output, checkpoints, modes)
        else:
            transform.rows_from = side.reader
            side.reader.attach(transform, transform.reader.passage, replace(modes, settles_on_write=False))
        side.handshake.asked()
        side.writer.send(self._line_1(side, self._stored.state if self._stored else _NO_STATE))
        if modes.input_is_legacy:
            side.writer.close()  # the original ingester reads its config until EOF
        else:
            side.writer.send(encode(Welcome(PROTOCOL_VERSION)))
        self._await_ready(side)

    def check_stop(self) -> None:
        """Raise Interrupted if the run should stop: nothing has been read yet. Raises `state.lease_lost`."""
        self._check_lease()
        if self._stop.is_requested:
            raise Interrupted

    def _await_ready(self, side: AnySide) -> None:
        start_s = self._clock()
        handshake = side.handshake
        ready_by_silence_s = start_s + self._job.legacy_ready_s if handshake.is_legacy else None
        while not (handshake.is_legacy and handshake.is_ready):
            heard = self._next_step({side.role}, "ready", start_s + self._job.start_timeout_s, ready_by_silence_s)
            if heard is None:
                break
            role, step = heard
            if isinstance(step, (Greeted, LateHello)):
                raise MustRestart(role)
            if role == side.role and isinstance(step, Ready):
                break
        self._report.log(
            "info",
            "provider.ready",
            role=side.role,
            provider=side.name,
            pid=side.process.pid,
            after_ms=round((self._clock() - side.started_s) * 1000),
        )

    def _next_step(
        self, waiting: Set[Role], waited_for: str, deadline_s: float, until_s: float | None
    ) -> tuple[Role, Step] | None:
        """Return the next step of either provider; None if there is none before `until_s`."""
        while True:
            self.check_stop()
            self._tick()
            step = self._hear()
            if step is not None:
                return step
            now = self._clock()
            for side in self._pair.sides:
                if side.is_gone(now) and not self._may_be_gone(side):
                    raise Lost(side.role)
            if until_s is not None and now >= until_s:
                return None
            if now >= deadline_s:
                raise self._not_ready(self._pair.side(min(waiting)), waited_for)

    def _may_be_gone(self, side: AnySide) -> bool:
        """A legacy input may write its rows and exit before it receives line 1."""
        handshake = side.handshake
        return side.role == "input" and handshake.is_legacy and handshake.is_ready and side.process.exit_code == 0

    def _counts_as_legacy(self, role: Role) -> bool:
        handshake = self._pair.side(role).handshake
        handshake.treat_as_legacy()
        return handshake.is_legacy

    def _modes(self) -> Modes:
        input_side, output_side, middle = self._pair.input, self._pair.output, self._pair.transform
        if middle is not None and "checkpoint" not in middle.capabilities:
            raise failures.no_passage(middle.spec, middle.name)
        if self._job.once and "once" not in input_side.capabilities:
            raise failures.no_once(input_side.spec, input_side.name)
        if self._job.transforms and CAPABILITY not in output_side.capabilities:
            raise failures.no_transforms(output_side.name, self._job.transforms_place)
        modes = Modes(
            input_is_legacy=input_side.handshake.is_legacy,
            host_checkpoints="checkpoint" not in input_side.capabilities,
            settles_on_write="ack" not in output_side.capabilities,
        )
        if modes.settles_on_write:
            self._report.log("warning", "delivery.at_most_once", provider=output_side.name, reason="it sends no acks")
        if modes.host_checkpoints:
            self._report.log("warning", "state.not_kept", provider=input_side.name, reason="it writes no checkpoints")
        return modes

    def _hear(self) -> tuple[Role, Step] | None:
        try:
            note = self._mailbox.get(timeout=TICK_S)
        except queue.Empty:
            return None
        if isinstance(note, Failed):
            raise note.error
        if isinstance(note, Said):
            if isinstance(note.step, Refused):
                raise failures.by_provider(self._pair.side(note.role).spec, note.step.error)
            return note.role, note.step
        for side in self._pair.sides:
            side.hear_end(note, self._clock())
        return None

    def _not_ready(self, side: AnySide, waited_for: str) -> DStreamError:
        prose = side.handshake.first_prose
        if side.handshake.hello is None and prose is not None:
            return failures.no_hello(side.role, side.spec, prose)
        return failures.not_ready(
            side.role, side.spec, waited_for, self._job.start_timeout_s, side.process.last_stderr_lines()
        )

    def _line_1(self, side: AnySide, state: msgspec.Raw) -> bytes:
        infrastructure = self._job.infrastructure if side.role == "output" else Infrastructure()
        command = Command(
            "run", dict(side.config), run=_run_options(self._job, self._stored), infrastructure=infrastructure
        )
        # The state is returned byte for byte as the input wrote it.
        fields = {**msgspec.structs.asdict(command), "state": state}
        del fields["transforms"]
        if side.role == "output" and self._job.transforms:
            fields["transforms"] = list(self._job.transforms)
        return msgspec.json.encode(fields) + b"\n"


def _run_options(job: Job, stored: StoredState | None) -> RunOptions:
    return RunOptions(
        task=job.task,
        id=job.run_id,
        once=job.once,
        from_=None if stored else job.from_,  # a start position applies only until the first checkpoint
        max_in_flight=job.max_in_flight,
        max_in_flight_bytes=job.max_in_flight_bytes,
        max_line=job.max_line,
        checkpoint_stored_at=stored.stored_at if stored else None,
        acks=not job.is_look,
    )
