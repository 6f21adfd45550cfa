"""The shared part of the readers of both providers' stdout: handshake, telemetry and errors."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dstream.errors import DStreamError
from dstream.host.provider import failures
from dstream.host.provider.link import ProviderLink
from dstream.host.provider.liveness import Liveness
from dstream.host.run.faults import fault_of
from dstream.host.run.job import Job
from dstream.host.run.notes import Closed, Failed, Mailbox, Said
from dstream.host.run.report import RunReport
from dstream.protocol.framing import LineTooLong
from dstream.protocol.handshake import Prose, Step, Told
from dstream.protocol.legacy_log import legacy_log
from dstream.protocol.messages import BadLine, Control, Error, Heartbeat, Log, Metric, Role


class ProviderReader(threading.Thread):
    """Reads one provider's stdout from its first line to EOF; the only reader of that pipe (rule 7)."""

    role: Role
    expects_end = False
    """Whether the host has ended the provider with a signal."""

    def __init__(
        self,
        link: ProviderLink,
        job: Job,
        report: RunReport,
        mailbox: Mailbox,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name=f"{self.role}-stdout", daemon=True)
        self.handshake = link.handshake
        self.liveness = Liveness()
        self._job = job
        self._spec = link.spec
        self._process = link.process
        self._report = report
        self._mailbox = mailbox
        self._clock = clock

    def run(self) -> None:
        try:
            self._read()
        except BadLine as error:
            self._fail(failures.bad_line(self.role, self._spec, error))
        except LineTooLong as error:
            self._fail(failures.line_too_long(self.role, self._spec, self._job.task, error))
        except Exception as error:  # noqa: BLE001  # a bug here must end the run, not leave it waiting
            fault = fault_of(error, self._job.task)
            fault.place = fault.place or self._spec.place
            self._fail(fault)
        finally:
            self.liveness.heard()
            self._mailbox.put(Closed(self.role))

    def _read(self) -> None:
        raise NotImplementedError

    def _starting(self, line: bytes) -> Step | None:
        """Pass on a line that arrives before ready, and return its step."""
        step = self.handshake.heard(line)
        if isinstance(step, Told):
            self._report.told(self.role, step.control, step.line)
        elif isinstance(step, Prose):
            self._prose(line)
        elif step is not None:
            self._mailbox.put(Said(self.role, step))
        return step

    def _told(self, control: Control | None, line: bytes) -> bool:
        """Handle a control line that both roles may send; return False for any other."""
        if isinstance(control, (Heartbeat, Log, Metric)):
            self._report.told(self.role, control, line)
        elif isinstance(control, Error):
            self._fail(failures.by_provider(self._spec, control, rows_from=self._job.input), by_provider=True)
        else:
            return control is None
        return True

    def _prose(self, line: bytes) -> None:
        log = legacy_log(line)
        if log is not None:
            self._report.event(self.role, log.level, log.message, log.fields)
            return
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._report.text(self.role, text, stream="stdout")

    def _fail(self, error: DStreamError, *, by_provider: bool = False) -> None:
        self._mailbox.put(Failed(self.role, error, by_provider))
