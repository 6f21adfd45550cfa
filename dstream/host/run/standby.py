"""Takes the lease of a task, and with `--standby` waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from dstream.errors import DStreamError, UnreachableError
from dstream.host.run.broken import Interrupted
from dstream.host.run.job import Job, StopRequest
from dstream.host.run.report import RunReport
from dstream.state import Lease, StateStore, TaskLockHolder

_POLL_S = 1.0


@contextmanager
def leased(
    job: Job, store: StateStore, report: RunReport, stop: StopRequest, now: Callable[[], datetime]
) -> Iterator[Lease | None]:
    """Hold the lease during the block; None for a look, which needs none.

    Raises LockedError `state.locked` if another host holds it; with `job.standby`, waits for it instead, and raises
    Interrupted if a stop is requested first.
    """
    if job.is_look:
        yield None
        return
    with ExitStack() as held:
        lease = _taken(job, store, held, now)
        if lease is None:
            lease = _awaited(job, store, held, report, stop, now)
        yield lease


def _taken(job: Job, store: StateStore, held: ExitStack, now: Callable[[], datetime]) -> Lease | None:
    """Take the lease; return None if another host has it and `job.standby` is set."""
    try:
        return held.enter_context(store.lease(now()))
    except DStreamError as error:
        if not (job.standby and error.code == "state.locked"):
            raise
        return None


def _awaited(
    job: Job,
    store: StateStore,
    held: ExitStack,
    report: RunReport,
    stop: StopRequest,
    now: Callable[[], datetime],
) -> Lease:
    """Ask for the lease once per second. A backend that is away is waited for as well."""
    stopped = threading.Event()
    stop.attach(stopped.set)
    since = now()
    try:
        holder = _holder(store)
        report.enter("standby", f"held by {holder}" if holder else "held by another host")
        report.log("info", "lease.waiting", holder=str(holder or ""), place=store.place)
        while not (stop.is_requested or stopped.wait(_POLL_S)):
            try:
                lease = _taken(job, store, held, now)
            except DStreamError as error:
                if error.code != "state.unavailable":
                    raise
                continue
            if lease is not None:
                report.enter("starting")
                report.log("info", "lease.taken", after_s=round((now() - since).total_seconds(), 1))
                return lease
        raise Interrupted
    finally:
        stop.detach(stopped.set)


def _holder(store: StateStore) -> TaskLockHolder | None:
    """Return who holds the lease; None if that cannot be read now."""
    try:
        return store.holder()
    except UnreachableError:
        return None
