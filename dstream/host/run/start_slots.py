"""Limits how many pairs of providers start at the same time in this process.

Until its hello, a provider needs a core to itself; if the providers of hundreds of tasks started at once, their hellos
would come so late that they would count as legacy or not ready. After the hello, a start waits for servers, so it gives
up its slot: a server that is down must not delay other tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from dstream.host.provider.introductions import AT_ONCE
from dstream.host.provider.link import TICK_S

_slots = threading.BoundedSemaphore(AT_ONCE)


class StartSlot:
    """A slot for one start. Free it in any case; freeing it twice is allowed."""

    def __init__(self) -> None:
        self._is_taken = False

    def take(self, is_stopped: Callable[[], bool]) -> bool:
        """Wait for the slot; return False if `is_stopped` becomes true first."""
        while not is_stopped():
            if _slots.acquire(timeout=TICK_S):
                self._is_taken = True
                return True
        return False

    def free(self) -> None:
        if self._is_taken:
            self._is_taken = False
            _slots.release()
