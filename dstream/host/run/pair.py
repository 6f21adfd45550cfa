"""The two processes of a run with their readers: started together, ended together (rule 9)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from dstream.host.provider.process import ProviderProcess
from dstream.host.provider.spec import ProviderSpec
from dstream.host.provider.writer import PipeWriter
from dstream.host.run.ack_reader import AckReader
from dstream.host.run.job import Job
from dstream.host.run.notes import Closed, Exited, Mailbox, Note, StdinBroken
from dstream.host.run.reader import ProviderReader
from dstream.host.run.relay import Relay
from dstream.host.run.report import RunReport
from dstream.protocol.messages import Role

LAST_WORDS_S = 2.0
"""How long after one sign of a provider's end the others may take: its exit, the rest of its pipes."""

ReaderT = TypeVar("ReaderT", bound=ProviderReader)


@dataclass(slots=True)
class Side(Generic[ReaderT]):
    """One provider while it runs, and what the main thread has heard of its end (times of the run's clock)."""

    role: Role
    spec: ProviderSpec
    process: ProviderProcess
    reader: ReaderT
    writer: PipeWriter
    started_s: float
    exited_s: float | None = None
    closed_s: float | None = None
    stdin_broken_s: float | None = None

    def hear_end(self, note: Note, now_s: float) -> None:
        """Keep what a note says about this provider's end."""
        if isinstance(note, Exited) and note.role == self.role:
            self.exited_s = now_s
        elif isinstance(note, Closed) and note.role == self.role:
            self.closed_s = now_s
        elif isinstance(note, StdinBroken) and note.role == self.role:
            self.stdin_broken_s = now_s

    def is_gone(self, now_s: float) -> bool:
        """Whether it shows signs of its end, and its last words are heard or overdue."""
        signs = [at for at in (self.exited_s, self.closed_s, self.stdin_broken_s) if at is not None]
        if self.exited_s is not None and self.closed_s is not None:
            return True
        return bool(signs) and now_s - min(signs) > LAST_WORDS_S

    @property
    def capabilities(self) -> frozenset[str]:
        hello = self.reader.handshake.hello
        return frozenset(hello.capabilities) if hello else frozenset()

    @property
    def name(self) -> str:
        """The provider's own name, or what the user wrote."""
        hello = self.reader.handshake.hello
        return (hello.name if hello else "") or self.spec.label


AnySide = Side[Relay] | Side[AckReader]


class Pair:
    """Must be made and shut down by one thread, which outlives both processes."""

    def __init__(self, job: Job, report: RunReport, mailbox: Mailbox, clock: Callable[[], float]) -> None:
        self._job = job
        self._report = report
        self._mailbox = mailbox
        self._clock = clock
        self.output = self._start("output", job.output, AckReader)
        try:
            self.input = self._start("input", job.input, Relay)
        except BaseException:
            self._end([self.output], signal.SIGTERM)
            raise

    @property
    def sides(self) -> tuple[Side[Relay], Side[AckReader]]:
        return self.input, self.output

    def side(self, role: Role) -> AnySide:
        return self.input if role == "input" else self.output

    def shut_down(self, number: signal.Signals) -> None:
        """End both and everything they started, then wait for all that served them; what is in the pipes is dropped."""
        self.input.reader.discard()
        self._end(self.sides, number)

    def _end(self, sides: Sequence[AnySide], number: signal.Signals) -> None:
        for side in sides:
            side.process.end(number)
            if side.role == "input":
                # An SDK input that has been told to stop still waits for its last acks, until EOF.
                side.writer.close()
        deadline = self._clock() + self._job.exit_grace_s
        for side in sides:
            if not side.process.wait(max(0.0, deadline - self._clock())):
                side.process.end(signal.SIGKILL)
                side.process.wait(self._job.exit_grace_s)
        for side in sides:
            side.writer.release()
            side.writer.join(timeout=1.0)
            side.reader.join(timeout=1.0)
            side.process.join()

    def _start(self, role: Role, spec: ProviderSpec, reader_type: type[ReaderT]) -> Side[ReaderT]:
        self._report.started(role, spec.label)
        started_s = self._clock()
        process = ProviderProcess(
            role,
            spec,
            cwd=self._job.cwd,
            environ=os.environ,
            on_stderr=partial(self._report.text, role, stream="stderr"),
            on_exit=partial(self._mailbox.put, Exited(role)),
        )
        reader = reader_type(self._job, spec, process, self._report, self._mailbox, self._clock)
        writer = PipeWriter(f"{role}-stdin", process.stdin, partial(self._mailbox.put, StdinBroken(role)))
        reader.start()
        writer.start()
        return Side(role, spec, process, reader, writer, started_s)
