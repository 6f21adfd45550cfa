"""The items that flow through a provider: what `read` yields and `write` receives. Light: imported before the first
line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

State = Mapping[str, Any]
"""The state in an input's last stored checkpoint; empty on the first run."""


class Row:
    """One event: `data` and its metadata, e.g. `Row({"Id": 7}, OperationType="Insert")`."""

    __slots__ = ("before", "data", "metadata")

    def __init__(self, data: Mapping[str, Any], *, before: Mapping[str, Any] | None = None, **metadata: Any) -> None:
        self.data = data
        self.before = before
        self.metadata = metadata

    def line(self) -> bytes:
        """The data line including its newline."""
        from msgspec.json import encode

        envelope = {"data": self.data, "metadata": self.metadata}
        if self.before is not None:
            envelope["before"] = self.before
        return encode(envelope) + b"\n"


class Lines(NamedTuple):
    """Already encoded lines: `size` of them, each ending with a newline."""

    data: bytes
    size: int


class Checkpoint(NamedTuple):
    """`state` covers everything yielded so far: a later run that receives it continues from here. Yield one wherever
    the state is consistent. The SDK writes them at the protocol's pace (1,000 lines or 100 ms) and skips those that a
    later one covers, unless `at_once`."""

    state: State
    at_once: bool = False
    """Write it now: for an input that waits for `acknowledged` before its next row."""


class Stop:
    """The request that `read` should stop."""

    def __init__(self, before_wait: Callable[[], None] = lambda: None) -> None:
        from threading import Event

        self._event = Event()
        self._before_wait = before_wait

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Write everything yielded so far, then wait. Return True as soon as the stream should end."""
        self._before_wait()
        return self._event.wait(timeout_s)


class Batch:
    """Lines for an output, in order and without newlines; `size` is their total length in bytes."""

    __slots__ = ("_rows", "lines", "rejected", "size", "traceparent")

    def __init__(self, lines: Sequence[bytes], size: int, traceparent: str = "") -> None:
        self.lines = lines
        self.size = size
        self.traceparent = traceparent
        """The trace context of all lines, for the messages made of them (W3C Trace Context, 3.2); "" without one."""
        self.rejected = 0
        """Set by `write`: how many of the lines went to a dead-letter store instead."""
        self._rows: list[dict[str, Any]] | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The envelopes, decoded on demand."""
        if self._rows is None:
            from msgspec.json import Decoder

            decode = Decoder(dict[str, Any]).decode
            self._rows = [decode(line) for line in self.lines]
        return self._rows


class BatchLimits(NamedTuple):
    """The size of an output's batches, and how many may be in flight (if `write` returns a Future)."""

    max_lines: int = 1000
    max_bytes: int = 1024 * 1024
    linger_s: float = 0.02
    max_pending: int = 1
    """Maximum number of batches whose futures are pending."""
