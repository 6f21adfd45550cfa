"""Notices signals at once, whatever the main thread is doing.

Python runs the handler of a signal on the main thread, but any thread may receive it: while the main thread is about to
wake up for the signal, a thread that starts another one can take it. The kernel then restarts the main thread's wait as
if nothing had happened, and a wait without a time limit goes on forever. Python's C handler, however, writes the number
to a descriptor on whichever thread receives the signal (`signal.set_wakeup_fd`), so a thread listens there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection
from typing import Any


class SignalListener:
    """Calls `call` with the number of each signal, one after the other, on a thread of its own."""

    def __init__(self, numbers: Collection[int], call: Callable[[int], None]) -> None:
        self._numbers = frozenset(numbers)
        self._call = call
        self._handlers: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)

    def start(self) -> None:
        """Call it on the main thread, and `stop`, too."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._previous = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread.start()
        self._handlers = {number: signal.signal(number, _noticed) for number in self._numbers}

    def stop(self) -> None:
        """Handle signals as before `start`, and return when no call is under way."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous)
        os.write(self._writer, b"\0")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _listen(self) -> None:
        while number := os.read(self._reader, 1)[0]:
            if number in self._numbers:
                self._call(number)


def _noticed(*_: object) -> None:
    """A handler that does nothing: the listener has the number."""
