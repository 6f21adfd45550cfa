"""Detects clients that send data while their request runs: an ATTENTION or a disconnect, which both cancel it.

One thread watches all connections, because a connection's own thread is inside the engine or blocked in a send. Arming
and disarming take one system call each (EPOLLONESHOT) and wake no thread.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)

_WAKE_UP = b"x"
_AGAIN_AFTER_S = 0.05


class AttentionWatch:
    """The watching thread. `watch` connections, then `arm` one for the duration of each request."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], bool]] = {}
        self._stop_read, self._stop_write = os.pipe()
        self._epoll.register(self._stop_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="attention", daemon=True)
        self._thread.start()

    def watch(self, descriptor: int, on_readable: Callable[[], bool]) -> None:
        """Register a socket; it starts disarmed.

        `on_readable` cancels, and returns whether the request is still running. If so, it is called again, because the
        first call may have come before the engine began to listen for it.
        """
        self._callbacks[descriptor] = on_readable
        self._epoll.register(descriptor, select.EPOLLONESHOT)

    def arm(self, descriptor: int) -> None:
        """Call back once when the socket has bytes, even if it already has some."""
        self._epoll.modify(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT)

    def disarm(self, descriptor: int) -> None:
        """Stop calling back. One call may still be in progress, and a disconnect is still reported once."""
        self._epoll.modify(descriptor, select.EPOLLONESHOT)

    def forget(self, descriptor: int) -> None:
        """Call this before closing the socket."""
        self._epoll.unregister(descriptor)
        self._callbacks.pop(descriptor, None)

    def close(self) -> None:
        """Stop the thread."""
        os.write(self._stop_write, _WAKE_UP)
        self._thread.join()
        self._epoll.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        readable: set[int] = set()
        while True:
            for descriptor, _ in self._epoll.poll(_AGAIN_AFTER_S if readable else None):
                if descriptor == self._stop_read:
                    return
                readable.add(descriptor)
            readable = {descriptor for descriptor in readable if self._cancel(descriptor)}

    def _cancel(self, descriptor: int) -> bool:
        callback = self._callbacks.get(descriptor)
        try:
            return callback is not None and callback()
        except Exception:  # noqa: BLE001 this thread serves all connections; a failure to cancel must not end it
            _log.exception("cancelling failed")
            return False
