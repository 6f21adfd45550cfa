"""What all pairs of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dstream.host.run.job import Job, StopRequest
from dstream.host.run.limits import Limits
from dstream.host.run.report import RunReport
from dstream.host.run.tracing import Tracer
from dstream.redact import Redactor
from dstream.state import Lease, StateStore


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run's request, its means to report and to store, and its clocks."""

    job: Job
    store: StateStore
    lease: Lease | None
    """The right to write the state; None for a look, which writes none."""
    report: RunReport
    redactor: Redactor
    stop: StopRequest
    limits: Limits
    clock: Callable[[], float]
    now: Callable[[], datetime]
    tracer: Tracer | None = None
    """Traces the rows; None: nothing is traced."""

    def may_pass_on(self) -> bool:
        """Return whether rows may go to the output: no other host can have the lease."""
        return self.lease is None or self.lease.is_held

    def check_lease(self) -> None:
        """Raise LockedError `state.lease_lost` if another host has taken the lease."""
        if self.lease is not None:
            self.lease.check()
