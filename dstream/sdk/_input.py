"""The run of an input provider.

The main thread runs `read` and writes; a second thread reads the host's acks and stop. The main thread blocks only on
the pipe to the host and on the in-flight limits.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Any

from dstream.errors import SystemFault
from dstream.protocol.messages import (
    Ack,
    Checkpoint,
    Command,
    End,
    SnapshotRequest,
    Stop,
    Welcome,
    decode_control,
    encode,
)
from dstream.sdk._channel import Channel
from dstream.sdk._pace import Mark, Pace
from dstream.sdk._provider import InputProvider
from dstream.sdk._stream import Checkpoint as StateCheckpoint
from dstream.sdk._stream import Lines, State
from dstream.sdk._stream import Stop as StopRequest

_BUFFER_BYTES = 256 * 1024


class InputRun:
    """Streams one provider from `ready` to `end`."""

    def __init__(self, provider: InputProvider[Any], channel: Channel, command: Command) -> None:
        self._provider = provider
        self._channel = channel
        self._command = command
        self.stop = StopRequest(before_wait=self._idle)
        self._pace = Pace()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._in_flight = _InFlight(command.run.max_in_flight, command.run.max_in_flight_bytes)
        self._listener = threading.Thread(target=self._listen, name="host", daemon=True)
        self._ended = False
        self._failure: Exception | None = None
        """Why the listener ended."""

    def run(self) -> None:
        """Return when the stream has ended and everything is acknowledged. The provider's exceptions propagate."""
        if self._channel.has_host:
            self._listener.start()
        for item in self._provider.read(self._command.state, self.stop):
            self._raise_failure()
            if isinstance(item, StateCheckpoint):
                self._mark(self._pace.offer(item.state, time.monotonic(), at_once=item.at_once))
            elif isinstance(item, Lines):
                self._lines(item.data, item.size)
            else:
                self._lines(item.line(), 1)
        self._finish()

    def _finish(self) -> None:
        self._raise_failure()
        if self._pace.uncovered_lines:
            raise SystemFault(
                "provider.uncovered_rows",
                f"read() ended with {self._pace.uncovered_lines} rows after its last checkpoint",
                hint="Yield a Checkpoint after the last row.",
            )
        self._mark(self._pace.end(time.monotonic()))
        self._flush()
        if self._channel.has_host:
            self._ended = True
            self._channel.send(encode(End(self._pace.last_seq)))
            self._listener.join()
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _lines(self, data: bytes, count: int) -> None:
        self._pace.lines(count)
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered >= _BUFFER_BYTES:
            self._flush()

    def _idle(self) -> None:
        self._mark(self._pace.idle(time.monotonic()))
        self._flush()

    def _mark(self, mark: Mark | None) -> None:
        if mark is None:
            return
        if self._channel.has_host:
            self._flush()
            self._in_flight.add(mark)
            self._channel.send(encode(Checkpoint(mark.seq, mark.n, _raw(mark.state))))
        self._flush()

    def _flush(self) -> None:
        if not self._buffer:
            return
        data = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        self._buffer = []
        self._buffered = 0
        if self._channel.has_host:
            self._in_flight.wait_for_room(len(data))
        self._channel.send(data)

    def _listen(self) -> None:
        """End the run if the listener fails: without acks it would wait forever."""
        try:
            self._hear()
        except Exception as error:  # noqa: BLE001  # raised again by the main thread
            self._failure = error
            self.stop.set()
        self._in_flight.unlimited()

    def _hear(self) -> None:
        """Run until the host closes stdin. A legacy host does so immediately, before `welcome`, and sends no acks."""
        welcomed = False
        for line in self._channel.lines():
            message = decode_control(line)
            if isinstance(message, Welcome):
                welcomed = True
            elif isinstance(message, Stop):
                self.stop.set()
            elif isinstance(message, SnapshotRequest):
                self._provider.snapshot(message.tables)
            elif isinstance(message, Ack):
                for state in self._in_flight.acknowledge(message.seq):
                    self._provider.acknowledged(state)
        if welcomed and not self._ended:
            os._exit(1)  # the host died: rows read from now on would be lost


class _InFlight:
    """Checkpoints that the host has not acknowledged, and the bytes before them."""

    def __init__(self, max_checkpoints: int, max_bytes: int) -> None:
        self._max_checkpoints = max_checkpoints
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._open: deque[tuple[Mark, int]] = deque()
        self._bytes = 0
        self._since_mark = 0

    def add(self, mark: Mark) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._open) < self._max_checkpoints)
            self._open.append((mark, self._since_mark))
            self._since_mark = 0

    def wait_for_room(self, size: int) -> None:
        """Block while too many bytes are unacknowledged; bytes after the last mark cannot be waited for."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._bytes + size <= self._max_bytes)
            self._bytes += size
            self._since_mark += size

    def acknowledge(self, seq: int) -> list[State]:
        """Return the states that are now stored, oldest first."""
        states = []
        with self._changed:
            while self._open and self._open[0][0].seq <= seq:
                mark, size = self._open.popleft()
                self._bytes -= size
                states.append(mark.state)
            self._changed.notify_all()
        return states

    def unlimited(self) -> None:
        with self._changed:
            self._max_checkpoints = self._max_bytes = 1 << 62
            self._changed.notify_all()


def _raw(state: State) -> Any:
    """Checkpoint.state is declared raw for the host; msgspec encodes any mapping there."""
    return state
