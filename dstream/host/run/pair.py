"""The processes of a run with their readers: started together, ended together (rule 9).

There are two, or three with a transform between them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from dstream.host.provider.link import ProviderLink, shut_down
from dstream.host.provider.spec import ProviderSpec
from dstream.host.run.ack_reader import AckReader
from dstream.host.run.job import Job
from dstream.host.run.notes import Closed, Exited, Mailbox, Note, StdinBroken
from dstream.host.run.reader import ProviderReader
from dstream.host.run.relay import Relay
from dstream.host.run.report import RunReport
from dstream.host.run.transform_relay import TransformRelay
from dstream.protocol.messages import Role

LAST_WORDS_S = 2.0
"""After one sign of a provider's end, how long the others may take: its exit, the rest of its pipes."""

ORPHANED_S = 2.0
"""How long a provider may take to exit after EOF on stdin without `stop` (protocol, Shutdown)."""

ReaderT = TypeVar("ReaderT", bound=ProviderReader)


class Side(ProviderLink, Generic[ReaderT]):
    """One provider of a run with its reader, and the signs of its end (times on the run's clock)."""

    reader: ReaderT

    def __init__(
        self,
        reader_type: type[ReaderT],
        spec: ProviderSpec,
        job: Job,
        report: RunReport,
        mailbox: Mailbox,
        clock: Callable[[], float],
    ) -> None:
        role = reader_type.role
        report.started(role, spec.label)
        self.started_s = clock()
        self.exited_s: float | None = None
        self.closed_s: float | None = None
        self.stdin_broken_s: float | None = None
        super().__init__(
            role,
            spec,
            cwd=job.cwd,
            on_stderr=partial(report.text, role, stream="stderr"),
            on_exit=partial(mailbox.put, Exited(role)),
            on_stdin_broken=partial(mailbox.put, StdinBroken(role)),
        )
        self.reader = reader_type(self, job, report, mailbox, clock)
        self.reader.start()

    def hear_end(self, note: Note, now_s: float) -> None:
        """Record a note about this provider's end."""
        if isinstance(note, Exited) and note.role == self.role:
            self.exited_s = now_s
        elif isinstance(note, Closed) and note.role == self.role:
            self.closed_s = now_s
        elif isinstance(note, StdinBroken) and note.role == self.role:
            self.stdin_broken_s = now_s

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it that the host did not send."""
        return (self.process.exit_code or 0) < 0 and not self.reader.expects_end

    def is_gone(self, now_s: float) -> bool:
        """Return whether it has ended, and its remaining output is read, overdue or meaningless.

        The last output of a killed provider explains nothing, and may be stuck behind a slow output.
        """
        signs = [at for at in (self.exited_s, self.closed_s, self.stdin_broken_s) if at is not None]
        if self.exited_s is not None and (self.closed_s is not None or self.was_killed):
            return True
        return bool(signs) and now_s - min(signs) > LAST_WORDS_S


AnySide = Side[Relay] | Side[TransformRelay] | Side[AckReader]


class Pair:
    """The providers. Create the pair and shut it down on one thread, which must outlive both processes."""

    def __init__(
        self,
        job: Job,
        report: RunReport,
        mailbox: Mailbox,
        clock: Callable[[], float],
        is_urgent: Callable[[], bool],
    ) -> None:
        self._exit_grace_s = job.exit_grace_s
        self._is_urgent = is_urgent
        self.output = Side(AckReader, job.output, job, report, mailbox, clock)
        self.transform: Side[TransformRelay] | None = None
        try:
            if job.transform is not None:
                self.transform = Side(TransformRelay, job.transform, job, report, mailbox, clock)
            self.input = Side(Relay, job.input, job, report, mailbox, clock)
        except BaseException:
            started: list[AnySide] = [self.output] if self.transform is None else [self.transform, self.output]
            shut_down(started, signal.SIGTERM, self._exit_grace_s)
            raise

    @property
    def sides(self) -> Sequence[AnySide]:
        """All providers, in the order in which rows pass through them."""
        return [side for side in (self.input, self.transform, self.output) if side is not None]

    @property
    def last_relay(self) -> Relay:
        """The reader that writes to the output."""
        return self.input.reader if self.transform is None else self.transform.reader

    def side(self, role: Role) -> AnySide:
        return next(side for side in self.sides if side.role == role)

    def shut_down(self, number: signal.Signals) -> None:
        """End all providers and everything they started, and discard what is still in the pipes.

        Legacy providers know no deadline, so they get longer.
        """
        self.input.reader.discard()
        self.last_relay.discard()
        is_legacy = any(side.handshake.is_legacy for side in self.sides)
        shut_down(self.sides, number, self._exit_grace_s if is_legacy else ORPHANED_S, self._is_urgent)
