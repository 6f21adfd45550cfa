"""Splits an output's stdin into data lines and control messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dstream.protocol import CONTROL_PREFIX
from dstream.protocol.messages import Control, decode_control

_CONTROL_LINE = b"\n" + CONTROL_PREFIX


class LineSplitter:
    """Keeps the unterminated rest between chunks."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[list[bytes] | Control]:
        """Yield runs of data lines and the control messages between them, in order. Raises BadLine."""
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._rest.append(chunk)
            return
        body = b"".join((*self._rest, chunk[:cut]))
        self._rest = [chunk[cut + 1 :]]
        lines = body.split(b"\n")
        if not body.startswith(CONTROL_PREFIX) and _CONTROL_LINE not in body:
            yield lines
            return
        yield from _with_controls(lines)

    @property
    def rest(self) -> bytes:
        """Anything after the last newline."""
        return b"".join(self._rest)


def _with_controls(lines: list[bytes]) -> Iterator[list[bytes] | Control]:
    start = 0
    for index, line in enumerate(lines):
        if not line.startswith(CONTROL_PREFIX):
            continue
        if index > start:
            yield lines[start:index]
        start = index + 1
        message = decode_control(line)
        if message is not None:
            yield message
    if start < len(lines):
        yield lines[start:]
