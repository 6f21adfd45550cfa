"""Splits an input's stdout into data and control lines, regardless of read boundaries. Never parses data.

The caller reads into `space()`, reports the number of bytes with `received(n)`, then takes single lines (`take_line`,
while the provider starts) or all complete lines (`take`, while it streams). An unterminated line is held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dstream.protocol import CONTROL_PREFIX, DEFAULT_MAX_LINE, MAX_CHECKPOINT_LINE, MAX_CONTROL_LINE
from dstream.protocol.legacy_log import LOG_MARKS, legacy_log

CHUNK_BYTES = 1024 * 1024
"""The maximum size of one read: what Linux grants an unprivileged pipe (fs.pipe-max-size)."""

_CONTROL_AT_LINE_START = b"\n" + CONTROL_PREFIX


@dataclass(frozen=True, slots=True)
class DataLines:
    """Complete data lines including newlines. The view is valid until the next `space()`."""

    view: memoryview
    count: int


@dataclass(frozen=True, slots=True)
class ControlLine:
    """One control line without its newline."""

    line: bytes


@dataclass(frozen=True, slots=True)
class ProseLine:
    """A line of a legacy input that is no row, without its newline."""

    line: bytes


class LineTooLong(ValueError):
    """A line over its limit; `size` is the number of bytes seen so far."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"a {what} line of {size:,} bytes; the limit is {limit:,}")
        self.what = what
        self.size = size
        self.limit = limit


class LineBuffer:
    """Splits chunks into lines, for streams that carry messages rather than rows. `what` names a line in an error.
    `cuts`: whether to yield a line over the limit in pieces."""

    def __init__(self, what: str, limit: int, cuts: Callable[[], bool] = lambda: False) -> None:
        self._what = what
        self._limit = limit
        self._cuts = cuts
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that `chunk` completes, without newlines. Raises LineTooLong after the lines before it."""
        for number, part in enumerate(chunk.split(b"\n")):
            if number:
                yield self._take()
            self._parts.append(part)
            self._size += len(part)
            if self._size > self._limit:
                if not self._cuts():
                    raise LineTooLong(self._what, self._size, self._limit)
                yield self._take()

    @property
    def rest(self) -> bytes:
        """The unterminated line so far."""
        return b"".join(self._parts)

    def _take(self) -> bytes:
        line = self.rest
        self._parts, self._size = [], 0
        return line


class StreamScanner:
    """The buffer between two pipes. Bytes [start, complete) are whole lines; [complete, end) is the start of the next
    line."""

    def __init__(self, max_line: int = DEFAULT_MAX_LINE, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._max_line = max_line
        self._chunk = chunk_bytes
        self._buffer = bytearray(chunk_bytes + chunk_bytes // 4)
        self._view = memoryview(self._buffer)
        self._start = self._complete = self._end = 0

    def space(self) -> memoryview:
        """Return space for the next bytes: between a quarter of a chunk and a chunk. Invalidates earlier views."""
        self._compact()
        if len(self._buffer) - self._end < self._chunk // 4 or len(self._buffer) == 0:
            self._resize(2 * len(self._buffer))
        elif len(self._buffer) > 4 * self._chunk and self._end < self._chunk // 4:
            self._resize(self._chunk + self._chunk // 4)
        return self._view[self._end : self._end + self._chunk]

    def received(self, count: int) -> None:
        """Record `count` bytes read into `space()`. Raises LineTooLong for an unterminated line over its limit."""
        begin, self._end = self._end, self._end + count
        newline = self._buffer.rfind(b"\n", begin, self._end)
        if newline >= 0:
            self._complete = newline + 1
        self._check_tail()

    def take_line(self) -> bytes | None:
        """Return the next complete line of any kind, without its newline; None if there is none."""
        if self._start == self._complete:
            return None
        newline = self._buffer.index(b"\n", self._start, self._complete)
        line = bytes(self._view[self._start : newline])
        self._start = newline + 1
        return line

    def take(self) -> list[DataLines | ControlLine]:
        """Return all complete lines, in order. Raises LineTooLong."""
        pieces: list[DataLines | ControlLine] = []
        position = self._start
        for control in self._control_lines():
            self._add_data(pieces, position, control)
            newline = self._buffer.index(b"\n", control, self._complete)
            pieces.append(ControlLine(self._control(control, newline)))
            position = newline + 1
        self._add_data(pieces, position, self._complete)
        self._start = self._complete
        return pieces

    def take_json_lines(self) -> list[DataLines | ProseLine]:
        """Return all complete lines of a legacy input, which has no control lines but may mix logs with rows.

        Raises LineTooLong.
        """
        begin, end = self._start, self._complete
        self._start = end
        if begin == end:
            return []
        self._check_data(begin, end)
        view = self._view[begin:end]
        count = _count_newlines(view)
        json_lines = self._buffer.startswith(b"{", begin, end) + self._buffer.count(b"\n{", begin, end)
        may_log = any(self._buffer.find(mark, begin, end) >= 0 for mark in LOG_MARKS)
        if json_lines == count and not may_log:
            return [DataLines(view, count)]
        return [
            DataLines(memoryview(line + b"\n"), 1)
            if line.startswith(b"{") and not (may_log and legacy_log(line))
            else ProseLine(line)
            for line in bytes(view[:-1]).split(b"\n")
        ]

    @property
    def tail(self) -> bytes:
        """The unterminated line at the end; after EOF it is dropped, except for legacy inputs."""
        return bytes(self._view[self._complete : self._end])

    def _control_lines(self) -> list[int]:
        """Find the offsets from the end: CPython's rfind is two to three times as fast as its find here."""
        found: list[int] = []
        before = self._complete
        while (at := self._buffer.rfind(_CONTROL_AT_LINE_START, self._start, before)) >= 0:
            found.append(at + 1)
            before = at + 1
        if self._buffer.startswith(CONTROL_PREFIX, self._start, self._complete):
            found.append(self._start)
        found.reverse()
        return found

    def _add_data(self, pieces: list[DataLines | ControlLine], begin: int, end: int) -> None:
        if begin == end:
            return
        self._check_data(begin, end)
        view = self._view[begin:end]
        pieces.append(DataLines(view, _count_newlines(view)))

    def _compact(self) -> None:
        if self._start == 0:
            return
        kept = self._end - self._start
        self._view[:kept] = self._view[self._start : self._end]
        self._complete -= self._start
        self._start, self._end = 0, kept

    def _resize(self, size: int) -> None:
        grown = bytearray(max(size, self._chunk))
        grown[: self._end] = self._view[: self._end]
        self._buffer, self._view = grown, memoryview(grown)

    def _control(self, begin: int, end: int) -> bytes:
        line = bytes(self._view[begin:end])
        limit = MAX_CHECKPOINT_LINE if _is_checkpoint(line) else MAX_CONTROL_LINE
        if len(line) > limit:
            raise LineTooLong("control" if limit == MAX_CONTROL_LINE else "checkpoint", len(line), limit)
        return line

    def _check_data(self, begin: int, end: int) -> None:
        """Jump from the last newline within the limit to the next, without inspecting every line."""
        while end - begin > self._max_line + 1:
            newline = self._buffer.rfind(b"\n", begin, begin + self._max_line + 1)
            if newline < 0:
                size = self._buffer.index(b"\n", begin, end) - begin
                raise LineTooLong("data", size, self._max_line)
            begin = newline + 1

    def _check_tail(self) -> None:
        size = self._end - self._complete
        if size <= MAX_CONTROL_LINE and size <= self._max_line:
            return
        if self._buffer.startswith(CONTROL_PREFIX, self._complete, self._end):
            checkpoint = _is_checkpoint(bytes(self._view[self._complete : self._complete + 64]))
            what, limit = ("checkpoint", MAX_CHECKPOINT_LINE) if checkpoint else ("control", MAX_CONTROL_LINE)
        else:
            what, limit = "data", self._max_line
        if size > limit:
            raise LineTooLong(what, size, limit)


def _count_newlines(view: memoryview) -> int:
    """Count by removing: CPython's replace uses memchr, which is up to four times as fast as its count."""
    return len(view) - len(bytes(view).replace(b"\n", b""))


def _is_checkpoint(line: bytes) -> bool:
    return line[len(CONTROL_PREFIX) :].lstrip().startswith(b'"checkpoint"')
