"""A limit on the CPU time of an operation that Python cannot interrupt otherwise, such as a search with `re`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CpuLimitReached(Exception):
    """The operation took too much CPU time."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise CpuLimitReached in the body after that much CPU time of this process.

    `re` checks for signals while it searches. Signals reach only the main thread: in other threads, there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGVTALRM, _reached)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def _reached(*_: object) -> None:
    raise CpuLimitReached
