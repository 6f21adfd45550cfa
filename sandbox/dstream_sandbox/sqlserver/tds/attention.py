"""Notices clients that speak while their request runs: that is an ATTENTION or a hang-up, and either way it cancels.

One thread watches all connections, because a connection's own thread is inside the engine or blocked in a send. Arming
and disarming is one system call each (EPOLLONESHOT) and wakes nobody.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

_WAKE_UP = b"x"


class AttentionWatch:
    """The watching thread. `watch` connections, then `arm` one for the time of each request."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._stop_read, self._stop_write = os.pipe()
        self._epoll.register(self._stop_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="attention", daemon=True)
        self._thread.start()

    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Register a socket; it starts disarmed."""
        self._callbacks[descriptor] = on_readable
        self._epoll.register(descriptor, select.EPOLLONESHOT)

    def arm(self, descriptor: int) -> None:
        """Call back once when the socket has bytes, also when it has them already."""
        self._epoll.modify(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT)

    def disarm(self, descriptor: int) -> None:
        """No calls from now on, but one may be under way, and a hang-up is still told once."""
        self._epoll.modify(descriptor, select.EPOLLONESHOT)

    def forget(self, descriptor: int) -> None:
        """Call before the socket is closed."""
        self._epoll.unregister(descriptor)
        self._callbacks.pop(descriptor, None)

    def close(self) -> None:
        """End the thread."""
        os.write(self._stop_write, _WAKE_UP)
        self._thread.join()
        self._epoll.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        while True:
            for descriptor, events in self._epoll.poll():
                if descriptor == self._stop_read:
                    return
                callback = self._callbacks.get(descriptor)
                if callback and events & (select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                    callback()
