"""Takes the lease of a task, and with `--standby` waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime

from dstream.errors import LockedError, UnreachableError
from dstream.host.provider.link import TICK_S
from dstream.host.run.broken import Interrupted
from dstream.host.run.checkpoints import URGENT_S
from dstream.host.run.job import Job, StopRequest
from dstream.host.run.report import RunReport
from dstream.state import Lease, StateStore, TaskLockHolder

_POLL_S = 1.0
_LONGEST_PAUSE_S = 10.0


@contextmanager
def leased(
    job: Job, store: StateStore, report: RunReport, stop: StopRequest, now: Callable[[], datetime]
) -> Iterator[Lease | None]:
    """Hold the lease during the block; None for a look, which needs none.

    Raises LockedError `state.locked` if another host holds it, and UnreachableError if the backend is away. With
    `job.standby`, waits for both instead, and raises Interrupted if a stop is requested first. At the end it releases
    the lease, but an urgent stop waits only a moment for a backend that does not answer.
    """
    if job.is_look:
        yield None
        return
    held = ExitStack()
    try:
        yield _awaited(store, held, report, stop, now) if job.standby else held.enter_context(store.lease(now()))
    finally:
        releasing = threading.Thread(target=_release, args=(held,), name="lease-release", daemon=True)
        releasing.start()
        while releasing.is_alive() and not stop.is_urgent:
            releasing.join(TICK_S)
        releasing.join(URGENT_S)


def _release(held: ExitStack) -> None:
    with suppress(Exception):  # it expires; the store may be closed meanwhile
        held.close()


def _awaited(
    store: StateStore, held: ExitStack, report: RunReport, stop: StopRequest, now: Callable[[], datetime]
) -> Lease:
    """Ask for the lease once per second; less and less often while the backend is away."""
    stopped = threading.Event()
    stop.attach(stopped.set)
    since, waits_for, pause_s = now(), "", _POLL_S
    try:
        while True:
            try:
                lease = held.enter_context(store.lease(now()))
            except LockedError:
                if waits_for != "holder":
                    waits_for, pause_s = "holder", _POLL_S
                    _report_holder(store, report)
            except UnreachableError as error:
                if waits_for != "backend":
                    waits_for, pause_s = "backend", _POLL_S
                    # Not `standby`, which counts as ready: it could not take over.
                    report.enter("starting", f"{error.code}: {error.message}")
                    report.log("warning", error.code, reason=error.message)
                else:
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if waits_for:
                    report.enter("starting")
                    report.log("info", "lease.taken", after_s=round((now() - since).total_seconds(), 1))
                return lease
            if stop.is_requested or stopped.wait(pause_s):
                raise Interrupted
    finally:
        stop.detach(stopped.set)


def _report_holder(store: StateStore, report: RunReport) -> None:
    holder = _holder(store)
    report.enter("standby", f"held by {holder}" if holder else "held by another host")
    report.log("info", "lease.waiting", holder=str(holder or ""), place=store.place)


def _holder(store: StateStore) -> TaskLockHolder | None:
    """Return who holds the lease; None if that cannot be read now."""
    try:
        return store.holder()
    except UnreachableError:
        return None
