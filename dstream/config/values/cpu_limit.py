"""A limit on the CPU time of an operation that Python cannot interrupt otherwise, such as a search with `re`."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_deadlines_s = [math.inf]
"""The deadlines of the limits in force, the innermost last, in CPU time of the process."""

_AGAIN_S = 0.25


class CpuLimitReached(Exception):
    """The operation took too much CPU time."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise CpuLimitReached in the body after that much CPU time of this process, or when a limit around it is reached.

    `re` checks for signals while it searches. Signals reach only the main thread: in other threads, there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if time.process_time() >= _deadlines_s[-1]:  # short limits in a loop reset the timer before it fires
        raise CpuLimitReached
    previous = signal.signal(signal.SIGVTALRM, _reached)
    depth = len(_deadlines_s)
    _deadlines_s.append(min(time.process_time() + seconds, _deadlines_s[-1]))
    _set_timer()
    try:
        yield
    finally:
        del _deadlines_s[depth:]
        signal.signal(signal.SIGVTALRM, previous)
        _set_timer()


def _set_timer() -> None:
    """Set the timer to the innermost deadline. The kernel rounds timers up, so what is left of one cannot be reused.

    It fires again, because Python drops an exception that is raised in a destructor or a callback of the collector.
    """
    deadline_s = _deadlines_s[-1]
    if deadline_s == math.inf:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    else:
        signal.setitimer(signal.ITIMER_VIRTUAL, max(deadline_s - time.process_time(), 1e-6), _AGAIN_S)


def _reached(*_: object) -> None:
    raise CpuLimitReached
