"""The run of a transform provider, on one thread: rows in, rows out, and each checkpoint after the rows before it."""

from __future__ import annotations

import os
from typing import Any

from dstream.protocol.messages import Checkpoint, End, Stop, encode
from dstream.sdk._channel import Channel
from dstream.sdk._lines import LineSplitter
from dstream.sdk._provider import TransformProvider
from dstream.sdk._stream import Batch


class TransformRun:
    """Feeds one provider from `ready` to the end of stdin."""

    def __init__(self, provider: TransformProvider[Any], channel: Channel) -> None:
        self._provider = provider
        self._channel = channel
        self._splitter = LineSplitter()
        self._rows_out = 0
        """Since the last checkpoint."""
        self._last_seq = 0
        self._stopped = False

    def run(self) -> None:
        """Return when everything is passed on. The provider's exceptions propagate."""
        while chunk := self._channel.read_chunk():
            out: list[bytes] = []
            for part in self._splitter.feed(chunk):
                if isinstance(part, list):
                    self._transform(part, out)
                elif isinstance(part, Checkpoint):
                    out.append(encode(Checkpoint(part.seq, self._rows_out)))
                    self._rows_out, self._last_seq = 0, part.seq
                elif isinstance(part, Stop):
                    self._stopped = True
            if out:
                self._channel.send(b"".join(out))
        if not self._channel.has_host:
            out = []
            self._transform([self._splitter.rest] if self._splitter.rest else [], out)
            self._channel.send(b"".join(out))
        elif self._stopped:
            self._channel.send(encode(End(self._last_seq)))
        else:
            os._exit(1)  # the host died

    def _transform(self, lines: list[bytes], out: list[bytes]) -> None:
        from msgspec.json import encode as encoded

        for row in self._provider.transform(Batch(lines, sum(map(len, lines)))) if lines else ():
            line = row if isinstance(row, bytes) else encoded(row)
            out.append(line + b"\n")
            self._rows_out += 1
