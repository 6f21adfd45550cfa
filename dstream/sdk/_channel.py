"""The provider's side of the pipes: stdin and stdout as raw descriptors, heartbeats, and exit when orphaned.

At start, stdout moves to another descriptor and fd 1 becomes stderr, so that a stray print() cannot corrupt the stream.
Reads and writes use os.read and os.write: a thread blocked in a buffered stdin would abort the interpreter at exit.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from dstream.protocol import ENV_HEARTBEAT, ENV_PROTOCOL, HEARTBEAT_INTERVAL_S

CHUNK = 1024 * 1024
"""Maximum bytes per read; the host enlarges the pipe to the same size."""

_PARENT_CHECK_S = 1.0
_PR_SET_PDEATHSIG = 1


class Channel:
    """This process's stdin and stdout, claimed. Lines from several threads are never interleaved."""

    def __init__(self) -> None:
        self._in = 0
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._write_lock = threading.Lock()
        self.ignores_broken_pipe = False
        """Whether to drop output and continue once the host stops reading."""
        self.has_host = os.environ.get(ENV_PROTOCOL) == "1"
        self._rest = b""
        self._wake_read, self._wake_write = os.pipe()

    def send(self, data: bytes) -> None:
        """Write complete lines. Exits the process if the host is gone."""
        view = memoryview(data)
        try:
            with self._write_lock:
                while view:
                    view = view[os.write(self._out, view) :]
        except BrokenPipeError:
            if not self.ignores_broken_pipe:
                os._exit(1)

    def wake(self) -> None:
        """Make a blocked `read_chunk` return None; callable from any thread."""
        os.write(self._wake_write, b"!")

    def read_chunk(self, timeout_s: float | None = None) -> bytes | None:
        """Return the next bytes; b"" at the end of stdin, None after a timeout or a call of `wake`."""
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        readable = select.select([self._in, self._wake_read], [], [], timeout_s)[0]
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
            return None
        return os.read(self._in, CHUNK) if readable else None

    def read_line(self) -> bytes:
        """Return one line without its newline; b"" at the end of stdin."""
        parts: list[bytes] = []
        while chunk := self.read_chunk():
            head, newline, self._rest = chunk.partition(b"\n")
            parts.append(head)
            if newline:
                break
        return b"".join(parts)

    def lines(self) -> Iterator[bytes]:
        """Yield lines without their newlines, until the end of stdin."""
        while line := self.read_line():
            yield line


def die_with_parent() -> None:
    """Request SIGKILL for when the host dies (Linux; elsewhere, `LifeSigns` detects it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def live_on_without_parent() -> None:
    """Undo `die_with_parent`, and the host's own request for the signal."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


class LifeSigns:
    """A thread that sends heartbeats, and exits the process or calls `orphaned` when its parent is gone."""

    def __init__(
        self,
        beat: Callable[[], None],
        has_news: Callable[[], bool],
        orphaned: Callable[[], None] = lambda: os._exit(1),
    ) -> None:
        """`has_news`: whether to call `beat` at the next look, once per second, instead of at the next interval."""
        self._beat = beat
        self._has_news = has_news
        self._orphaned = orphaned
        self._parent = os.getppid()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="life-signs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        interval_s = float(os.environ.get(ENV_HEARTBEAT) or HEARTBEAT_INTERVAL_S)
        check_s = min(_PARENT_CHECK_S, interval_s)
        waited_s = 0.0
        while not self._ended.wait(check_s):
            if os.getppid() != self._parent:
                self._orphaned()
            waited_s += check_s
            if waited_s >= interval_s or self._has_news():
                waited_s = 0.0
                self._beat()
