"""Aborts calls into the SDK that do not return.

`send_messages(timeout=..)` of azure-servicebus 7.15 waits forever when the broker answers `released` or `modified`
(its callback fails and the delivery is dropped), and opening a connection reads without a timeout during SASL. Shutting
down the socket and closing the sender from another thread makes such a call raise.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STUCK_AFTER_S = 10.0
"""How long an aborted call may take to return before `on_stuck` is called."""


@dataclass(slots=True)
class Watch:
    """One call. `aborted`: it has taken too long."""

    deadline: float
    abort: Callable[[], None]
    aborted: bool = False


class Watchdog:
    """One thread that watches all calls. Calls `on_stuck` if a call does not return even after its abort."""

    def __init__(self, on_stuck: Callable[[], None]) -> None:
        self._on_stuck = on_stuck
        self._watches: dict[int, Watch] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._next_look = float("inf")
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def limit(self, seconds: float, abort: Callable[[], None]) -> Iterator[Watch]:
        """Abort the block if it takes longer; `abort` runs on its own thread, since it may block too."""
        number = next(self._numbers)
        deadline = time.monotonic() + seconds
        with self._changed:
            watch = self._watches[number] = Watch(deadline, abort)
            if deadline < self._next_look:
                self._changed.notify()
        try:
            yield watch
        finally:
            with self._changed:
                del self._watches[number]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                self._look(time.monotonic())
                self._next_look = min((watch.deadline for watch in self._watches.values()), default=float("inf"))
                wait_s = self._next_look - time.monotonic()
                self._changed.wait(None if wait_s == float("inf") else max(0.0, wait_s))

    def _look(self, now: float) -> None:
        for watch in self._watches.values():
            if now < watch.deadline:
                continue
            watch.deadline = now + STUCK_AFTER_S
            target = self._on_stuck if watch.aborted else watch.abort
            watch.aborted = True
            threading.Thread(target=target, name="abort", daemon=True).start()
