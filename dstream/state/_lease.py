"""A lease that expires: held on a network backend, renewed by its own thread.

Times are those of a clock that counts suspend, because the server's clock goes on while this machine sleeps. The lease
counts from before the request that took or renewed it, and ends a tenth early, so it is never proven longer here than
the server keeps it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from dstream.errors import ConfigError, DStreamError, LockedError
from dstream.state._holder import TaskLockHolder, this_process

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux: clock_gettime(2), CLOCK_BOOTTIME. macOS: CLOCK_MONOTONIC counts sleep as well."""
_PROVEN = 0.9
_RENEWALS = 3
"""How often a lease is renewed during its time."""
_TICK_S = 0.5


def boot_time_s() -> float:
    """Return the time since boot, including suspend."""
    return time.clock_gettime(_BOOTTIME)


class LeaseRequests(Protocol):
    """The requests of a backend about one task's lease; each takes at most a few seconds. All raise DStreamError."""

    def acquire(self, holder: TaskLockHolder) -> str:
        """Take the lease and return its fence. Raises LockedError `state.locked`."""

    def renew(self, fence: str) -> bool:
        """Renew the lease, also one that has expired meanwhile; return False if another process has taken it."""

    def release(self, fence: str) -> None:
        """Give the lease back, unless another process has taken it."""

    def holder(self) -> TaskLockHolder | None:
        """Return who holds the lease."""


class RenewedLease:
    """Held for the duration of the `with` block, in which a thread renews it."""

    fence = ""

    def __init__(
        self,
        requests: LeaseRequests,
        task: str,
        lease_s: float,
        since: datetime,
        command: str,
        clock: Callable[[], float] = boot_time_s,
    ) -> None:
        self._requests = requests
        self._task = task
        self._lease_s = lease_s
        self._holder = this_process(since, command)
        self._clock = clock
        self._proven_until_s = 0.0
        self._taken_by: TaskLockHolder | None = None
        self._is_lost = False
        self._fault: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{task}", daemon=True)

    @property
    def is_held(self) -> bool:
        return not self._is_lost and self._clock() < self._proven_until_s

    def check(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._is_lost:
            raise lost(self._task, self._taken_by)

    def __enter__(self) -> Self:
        asked_s = self._clock()
        self.fence = self._requests.acquire(self._holder)
        self._proven_until_s = asked_s + _PROVEN * self._lease_s
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._proven_until_s = 0.0
        if not self._is_lost:
            with contextlib.suppress(DStreamError):  # it expires
                self._requests.release(self.fence)

    def _renew(self) -> None:
        next_s = self._clock() + self._lease_s / _RENEWALS
        while not self._over.wait(_TICK_S):
            asked_s = self._clock()
            if asked_s < next_s and asked_s < self._proven_until_s:
                continue
            try:
                is_renewed = self._requests.renew(self.fence)
            except ConfigError as error:  # what the lease is kept in is gone; raised by `check`
                self._fault = error
                return
            except DStreamError:  # the backend is away: rows stop when the time is up, and go on when it is back
                continue
            except Exception as error:  # noqa: BLE001  # a bug must end the run, not leave it waiting
                self._fault = error
                return
            if not is_renewed:
                self._proven_until_s = 0.0  # rows stop now, also while the next request is under way
                with contextlib.suppress(DStreamError):
                    self._taken_by = self._requests.holder()
                self._is_lost = True
                return
            self._proven_until_s = asked_s + _PROVEN * self._lease_s
            next_s = asked_s + self._lease_s / _RENEWALS


def lost(task: str, holder: TaskLockHolder | None) -> LockedError:
    """Return the error of a run whose lease another process has taken. `holder`: the new one, if it is known."""
    who = f" by {holder}" if holder else ""
    return LockedError(
        "state.lease_lost",
        f'the lease of task "{task}" was taken{who}',
        hint="This process was paused, or could not reach the state backend, for longer than the lease. Nothing is "
        "lost: the new holder resumes from the last stored checkpoint. To wait until it ends, use --standby.",
    )
