"""The run of an output provider.

The main thread reads stdin, transforms lines, forms batches and calls `write`. Futures may complete on any thread,
which then sends the acks that are due.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from dstream.protocol.messages import Ack, Checkpoint, Stop, TraceContext, encode
from dstream.sdk._channel import Channel
from dstream.sdk._lines import LineSplitter
from dstream.sdk._provider import OutputProvider
from dstream.sdk._settlement import Settlement, Span
from dstream.sdk._stream import Batch

if TYPE_CHECKING:
    from dstream.sdk._transform.chain import TransformChain


class OutputRun:
    """Feeds one provider from `ready` to the end of stdin."""

    def __init__(
        self, provider: OutputProvider[Any], channel: Channel, transforms: TransformChain | None = None
    ) -> None:
        self._provider = provider
        self._limits = provider.limits
        self._channel = channel
        self._transforms = transforms
        self._splitter = LineSplitter()
        self._settlement = Settlement()
        self._lock = threading.Condition(threading.Lock())
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        self._uncut_lines = 0
        """Lines received since the last batch: those pending, and those that a transform dropped."""
        self._sent_lines = 0
        self._under_way: deque[Future[None]] = deque()
        self._traceparent = ""
        self._stopped = False

    def run(self) -> None:
        """Return when all lines are durable and acknowledged. The provider's exceptions propagate."""
        while (chunk := self._channel.read_chunk(self._time_left())) != b"":
            self._raise_failures()
            if chunk:
                self._take(chunk)
            if self._time_left() == 0:
                self._cut()
        if self._channel.has_host and not self._stopped:
            os._exit(1)  # the host died: its successor re-sends rows that had no checkpoint
        if self._splitter.rest and not self._channel.has_host:
            self._add([self._splitter.rest])
        self._cut()
        self._drain()

    def _take(self, chunk: bytes) -> None:
        for part in self._splitter.feed(chunk):
            if isinstance(part, list):
                self._add(part)
            elif isinstance(part, Checkpoint):
                with self._lock:
                    self._settlement.checkpoint(part.seq)
                    self._send(self._settlement.ack())
            elif isinstance(part, TraceContext):
                self._cut()  # a batch has one context
                self._traceparent = part.traceparent
            elif isinstance(part, Stop):
                self._stopped = True
                self._cut()

    def _add(self, lines: list[bytes]) -> None:
        with self._lock:
            self._settlement.lines(len(lines))
        if not self._uncut_lines:
            self._pending_since = time.monotonic()
        if self._transforms is not None:
            self._transform(self._transforms, lines)
            return
        size = sum(map(len, lines))
        if self._fits(len(lines), size):
            self._pending += lines
            self._pending_bytes += size
            self._uncut_lines += len(lines)
            return
        for line in lines:
            self._append(line)

    def _transform(self, transforms: TransformChain, lines: list[bytes]) -> None:
        """A dropped line needs no delivery: it is durable as soon as the lines before it are."""
        for line in lines:
            transformed = transforms.apply(line)
            if transformed is None:
                self._uncut_lines += 1
            else:
                self._append(transformed)

    def _append(self, line: bytes) -> None:
        if self._pending and not self._fits(1, len(line)):
            self._cut()
        self._pending.append(line)
        self._pending_bytes += len(line)
        self._uncut_lines += 1

    def _fits(self, count: int, size: int) -> bool:
        return (
            len(self._pending) + count <= self._limits.max_lines
            and self._pending_bytes + size <= self._limits.max_bytes
        )

    def _time_left(self) -> float | None:
        """Seconds until the lines since the last batch have lingered long enough; None if there are none."""
        if not self._uncut_lines:
            return None
        return max(0.0, self._pending_since + self._limits.linger_s - time.monotonic())

    def _cut(self) -> None:
        """Pass the pending lines to the provider, once fewer than `max_pending` batches are in flight."""
        if not self._uncut_lines:
            return
        while len(self._under_way) >= self._limits.max_pending:
            wait([self._under_way[0]])
            self._raise_failures()
        batch = Batch(self._pending, self._pending_bytes, self._traceparent)
        dropped = self._uncut_lines - len(self._pending)
        self._sent_lines += self._uncut_lines
        self._pending = []
        self._pending_bytes = self._uncut_lines = 0
        self._pending_since = time.monotonic()
        with self._lock:
            span = self._settlement.batch(self._sent_lines)
        if dropped:
            self._provider.telemetry.count("rows_filtered", dropped)
        future = self._provider.write(batch) if batch.lines else None
        if future is None:
            self._durable(span, batch)
            return
        self._under_way.append(future)
        future.add_done_callback(lambda done: self._done(done, span, batch))

    def _done(self, future: Future[None], span: Span, batch: Batch) -> None:
        if not future.cancelled() and future.exception() is None:
            self._durable(span, batch)
        else:
            self._channel.wake()

    def _durable(self, span: Span, batch: Batch) -> None:
        with self._lock:
            self._send(self._settlement.durable(span, batch.rejected))
            self._lock.notify_all()

    def _send(self, ack: Ack | None) -> None:
        """Called with the lock held, so that acks are sent in order."""
        if ack and self._channel.has_host:
            self._channel.send(encode(ack))

    def _raise_failures(self) -> None:
        while self._under_way and self._under_way[0].done():
            self._under_way.popleft().result()
        for future in self._under_way:
            if future.done() and future.exception():
                future.result()

    def _drain(self) -> None:
        while self._under_way:
            wait([self._under_way[0]])
            self._raise_failures()
        with self._lock:  # a future is done before its callback sends the ack
            self._lock.wait_for(lambda: not self._settlement.is_in_flight)
