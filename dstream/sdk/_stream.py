"""What flows through a provider: what `read` yields, what `write` gets. Imported before the first line: light."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

State = Mapping[str, Any]
"""What an input's last stored checkpoint carried; empty at the first run."""


class Row:
    """One event: `data` and its metadata, as in `Row({"Id": 7}, OperationType="Insert")`."""

    __slots__ = ("before", "data", "metadata")

    def __init__(self, data: Mapping[str, Any], *, before: Mapping[str, Any] | None = None, **metadata: Any) -> None:
        self.data = data
        self.before = before
        self.metadata = metadata

    def line(self) -> bytes:
        """The data line, newline included."""
        from msgspec.json import encode

        envelope = {"data": self.data, "metadata": self.metadata}
        if self.before is not None:
            envelope["before"] = self.before
        return encode(envelope) + b"\n"


class Lines(NamedTuple):
    """Lines that are encoded already: `size` of them, each ended by a newline."""

    data: bytes
    size: int


class Checkpoint(NamedTuple):
    """Everything yielded so far is covered by `state`: a later run that gets it continues behind it.

    Yield one wherever the state is consistent; the SDK writes them at the protocol's pace (1,000 lines or 100 ms) and
    leaves out what a later one covers.
    """

    state: State


class Stop:
    """Tells `read` to come to an end."""

    def __init__(self, before_wait: Callable[[], None] = lambda: None) -> None:
        from threading import Event

        self._event = Event()
        self._before_wait = before_wait

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait, after everything yielded so far has been written; True as soon as the stream is to end."""
        self._before_wait()
        return self._event.wait(timeout_s)


class Batch:
    """Lines for an output, in order, without their newlines; `size` is their bytes together."""

    __slots__ = ("_rows", "lines", "rejected", "size")

    def __init__(self, lines: Sequence[bytes], size: int) -> None:
        self.lines = lines
        self.size = size
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
    """How an output wants its batches cut, and how much may be under way at once (`write` returned a Future)."""

    max_lines: int = 1000
    max_bytes: int = 1024 * 1024
    linger_s: float = 0.02
    max_pending: int = 1
    """Batches whose futures are not done."""
