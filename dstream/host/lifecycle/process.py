"""The output provider's process during a lifecycle command: lines in and out, and its end.

Threads: one reads stdout into a queue, one writes stdin (PipeWriter), two watch stderr and exit (ProviderProcess).
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable

from dstream.host.lifecycle.job import LifecycleJob
from dstream.host.provider.process import ProviderProcess
from dstream.host.provider.writer import PipeWriter
from dstream.protocol import DEFAULT_MAX_LINE
from dstream.protocol.framing import CHUNK_BYTES, LineTooLong


class LifecycleProcess:
    """Made, used and ended by one thread, which outlives it."""

    def __init__(self, job: LifecycleJob, on_stderr: Callable[[str], None]) -> None:
        self._exit_grace_s = job.exit_grace_s
        self._process = ProviderProcess(
            "output", job.output, cwd=job.cwd, environ=os.environ, on_stderr=on_stderr, on_exit=lambda: None
        )
        self._lines: queue.SimpleQueue[bytes | LineTooLong | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="output-stdout", daemon=True)
        # A provider that no longer reads has ended or is about to: its stdout says how, so a broken pipe is no news.
        self._writer = PipeWriter("output-stdin", self._process.stdin, broken=lambda: None)
        self._reader.start()
        self._writer.start()

    def send(self, line: bytes) -> None:
        self._writer.send(line)

    def close_stdin(self) -> None:
        self._writer.close()

    def next_line(self, timeout_s: float) -> bytes | None:
        """b"" when none came in time, None at the end of stdout. Raises LineTooLong. Empty lines are left out."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if isinstance(line, LineTooLong):
            raise line
        return line

    def terminate(self) -> None:
        self._process.end(signal.SIGTERM)

    def kill(self) -> None:
        self._process.end(signal.SIGKILL)

    def leave(self) -> None:
        """It has said its last line: let it exit by itself, and end it when it does not."""
        if not self._process.wait(self._exit_grace_s):
            self.end()

    def end(self) -> None:
        """End it and everything it started, and wait for that."""
        self.terminate()
        if not self._process.wait(self._exit_grace_s):
            self.kill()
            self._process.wait(self._exit_grace_s)

    def join(self) -> None:
        """After its end: nothing of it is left."""
        self._writer.release()
        self._writer.join(timeout=1.0)
        self._reader.join(timeout=1.0)
        self._process.join()

    def exit_code(self) -> int | None:
        """Waits a moment for it, when stdout has ended."""
        self._process.wait(self._exit_grace_s)
        return self._process.exit_code

    def last_stderr_lines(self) -> tuple[str, ...]:
        return self._process.last_stderr_lines()

    def _read(self) -> None:
        parts: list[bytes] = []
        size = 0
        while chunk := os.read(self._process.stdout.fileno(), CHUNK_BYTES):
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                self._put(b"".join((*parts, end)))
                parts, size = [], 0
            parts.append(rest)
            size += len(rest)
            if size > DEFAULT_MAX_LINE:
                self._lines.put(LineTooLong("result", size, DEFAULT_MAX_LINE))
                return
        self._put(b"".join(parts))
        self._lines.put(None)

    def _put(self, line: bytes) -> None:
        if line.strip():
            self._lines.put(line)
