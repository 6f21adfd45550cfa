"""This process's standard streams, whatever they are: closed, full, broken, or of an odd encoding.

stdout carries results, so a write that fails raises and ends the command. stderr carries messages and logs, so what it
does not accept is dropped and counted, and the work continues. Both escape what a terminal or a CI system would obey
(dstream/shown.py) and what their encoding lacks, and take text only, so that nothing is written past the escapes.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from dstream.errors import SystemFault
from dstream.shown import escaped, on_stream

_ESCAPE = "dstream.escape"
_LOG_PATIENCE_S = 1.0
_PIPE_BYTES = select.PIPE_BUF
"""A pipe that accepts anything accepts this much without blocking (pipe(7))."""


class ReaderGone(Exception):
    """The reader of stdout has closed the pipe: `dstream list | head -1`."""


def protect() -> None:
    """Replace `sys.stdin`, `sys.stdout` and `sys.stderr`. Call it once, before anything opens a file."""
    _fill_closed()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    else:
        sys.stdin = open(0, errors="replace", closefd=False)  # noqa: SIM115  # open as long as the process
    sys.stdout = ResultStream(1, _encoding(sys.stdout))
    sys.stderr = LossyStream(2, _encoding(sys.stderr))


def drop_unread_messages() -> None:
    """From now on, drop what stderr does not accept within a second: a reader that pauses must not stop a stream."""
    if isinstance(sys.stderr, LossyStream):
        sys.stderr.wait_at_most(_LOG_PATIENCE_S)


def erase_above(stream: TextIO, rows: int) -> None:
    """Move the cursor of a terminal up, and erase everything from there on.

    Not part of any text, so that no text can do it: streams escape the sequence (ECMA-48: CUU, ED).
    """
    sequence = f"\r\x1b[{rows}A\x1b[J"
    if isinstance(stream, _ShownStream):
        stream.write_raw(sequence)
    else:
        stream.write(sequence)


class _ShownStream(io.TextIOWrapper):
    """Writes text only; bytes, as click writes for completion, are decoded."""

    def write(self, text: str | bytes, /) -> int:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        return super().write(on_stream(text))

    def write_raw(self, sequence: str) -> None:
        """Write a sequence of DStream's own."""
        super().write(sequence)

    @property
    def buffer(self) -> Any:
        """None, so that click does not write past `write`, as it does to streams of an ASCII encoding."""
        return None


class ResultStream(_ShownStream):
    """stdout. A write that fails raises ReaderGone, or SystemFault `output.failed`."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__(_Results(descriptor), encoding, _ESCAPE, write_through=True)


class LossyStream(_ShownStream):
    """stderr. Writing never raises."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._messages = _Messages(descriptor)
        super().__init__(self._messages, encoding, _ESCAPE, write_through=True)

    def wait_at_most(self, patience_s: float) -> None:
        """Limit how long a write may wait until the reader makes room; by default, it waits forever."""
        self._messages.usual_patience_s = self._messages.patience_s = patience_s

    @property
    def lost(self) -> int:
        """How many writes were dropped so far, also in part."""
        return self._messages.lost

    @property
    def reason(self) -> str:
        """Why the last one was dropped."""
        return self._messages.reason


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor without a buffer, so that no unwritten rest can fail again at exit."""

    def __init__(self, descriptor: int) -> None:
        self.name = descriptor
        self._descriptor = descriptor
        self.patience_s: float | None = None
        """How long a write may wait until the reader makes room; None: forever."""

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def _put(self, data: bytes) -> int:
        """Write up to a pipe's atomic size and return how much. Raises OSError."""
        while True:
            if self.patience_s is not None and not self._is_ready(self.patience_s):
                raise OSError(errno.EAGAIN, "its reader does not read")
            try:
                return os.write(self._descriptor, data[:_PIPE_BYTES] if self.patience_s is not None else data)
            except BlockingIOError:  # another process has set O_NONBLOCK on it
                self._is_ready(self.patience_s)

    def _is_ready(self, patience_s: float | None) -> bool:
        return bool(select.select([], [self._descriptor], [], patience_s)[1])


class _Results(_Descriptor):
    def write(self, data: Any) -> int:
        rest = bytes(data)
        try:
            while rest:
                rest = rest[self._put(rest) :]
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError as error:
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            raise SystemFault(
                "output.failed",
                f"cannot write to stdout: {reason}",
                hint="The output is missing or incomplete.",
            ) from error
        return len(data)


class _Messages(_Descriptor):
    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.lost = 0
        self.reason = ""
        self.usual_patience_s: float | None = None
        self._is_torn = False

    def write(self, data: Any) -> int:
        whole = bytes(data)
        rest = b"\n" + whole if self._is_torn else whole
        try:
            while rest:
                rest = rest[self._put(rest) :]
                self._is_torn = bool(rest)
            self.patience_s = self.usual_patience_s
        except OSError as error:
            self.lost += 1
            self.reason = error.strerror or str(error)
            if error.errno == errno.EAGAIN:
                self.patience_s = 0.0  # wait once, not again for every message
        return len(whole)


def _fill_closed() -> None:
    """Open closed descriptors: the next file that this process opens would get the number, and the messages.

    stdin is then empty, stderr drops everything, and a write to stdout fails, as it would have (gnulib's stdopen).
    """
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)


def _encoding(replaced: Any) -> str:
    return getattr(replaced, "encoding", None) or "utf-8"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Handle what the encoding lacks: a codec error handler."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return escaped(error.object[error.start : error.end]), error.end


codecs.register_error(_ESCAPE, _escaped)
