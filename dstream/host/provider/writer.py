"""Writes to a provider's stdin from a thread with a queue, so that senders never block (rule 7)."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import IO

_IOV_MAX = 512
"""Buffers per writev; Linux allows 1024 (sysconf SC_IOV_MAX), POSIX guarantees 16."""


class PipeWriter(threading.Thread):
    """Owns a pipe until `close` or `release`; calls `broken` once if the reading side is gone."""

    def __init__(self, name: str, pipe: IO[bytes], broken: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._pipe = pipe
        self._broken = broken
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._closes = False

    def send(self, line: bytes) -> None:
        """Queue a line; lines are written in order. Lines sent to a broken pipe are dropped."""
        self._lines.put(line)

    def close(self) -> None:
        """Write everything queued, then close the pipe, which is EOF for the provider."""
        self._closes = True
        self._lines.put(None)

    def release(self) -> None:
        """Write everything queued, then end the thread and leave the pipe open for its next owner."""
        self._lines.put(None)

    def run(self) -> None:
        is_broken = False
        while (line := self._lines.get()) is not None:
            if is_broken:
                continue
            try:
                write_all(self._pipe.fileno(), [line])
            except OSError:  # EPIPE: the reader is gone
                is_broken = True
                self._broken()
        if self._closes:
            self._pipe.close()


def write_all(descriptor: int, buffers: Sequence[bytes | memoryview]) -> None:
    """Write every byte of every buffer, in order, without joining them. Raises OSError (EPIPE)."""
    pending = [buffer for buffer in buffers if len(buffer)]
    while pending:
        written = os.writev(descriptor, pending[:_IOV_MAX])
        done = 0
        for buffer in pending:
            if written < len(buffer):
                break
            written -= len(buffer)
            done += 1
        del pending[:done]
        if written:
            pending[0] = memoryview(pending[0])[written:]
