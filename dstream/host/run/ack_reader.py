"""The output's stdout: its start, then its acks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import cast

import msgspec

from dstream.host.provider import failures
from dstream.host.run.checkpoints import Checkpoints
from dstream.host.run.reader import ProviderReader
from dstream.protocol import CONTROL_PREFIX, MAX_CONTROL_LINE
from dstream.protocol.framing import LineTooLong
from dstream.protocol.handshake import Payload
from dstream.protocol.messages import Ack, BadLine, decode_control

_ROW = b'{"data":'


class AckReader(ProviderReader):
    """Give it the checkpoints before the output gets its line 1."""

    role = "output"
    _checkpoints: Checkpoints

    def attach(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def _read(self) -> None:
        for line in self._lines():
            if not self.handshake.is_ready:
                if isinstance(self._starting(line), Payload):
                    self._legacy_text(line)
            elif self.handshake.is_legacy:
                self._legacy_text(line)
            elif line.startswith(CONTROL_PREFIX):
                self._control(line)
            else:
                self._prose(line)

    def _control(self, line: bytes) -> None:
        control = decode_control(line)
        if isinstance(control, Ack):
            if isinstance(control.n, msgspec.UnsetType):
                raise BadLine(f"ack {control.seq} has no n: the rows settled since the last ack")
            self._checkpoints.acknowledged(control)
        elif not self._told(control, line):
            raise BadLine(f"an output does not send {type(control).__name__.lower()} while it runs")

    def _legacy_text(self, line: bytes) -> None:
        """For people, unless it is a row: then this is an input."""
        if line.startswith(_ROW):
            raise failures.legacy_input_as_output(self._spec)
        self._prose(line)

    def _lines(self) -> Iterator[bytes]:
        # Not closed here: a pipe is closed by the process it belongs to, after its threads have ended.
        pipe = io.BufferedReader(cast(io.RawIOBase, self._process.stdout))
        try:
            while True:
                self.liveness.waits(self._clock())
                line = pipe.readline(MAX_CONTROL_LINE + 2)
                self.liveness.heard()
                if not line:
                    return
                if len(line) > MAX_CONTROL_LINE + 1:
                    raise LineTooLong("control", len(line), MAX_CONTROL_LINE)
                yield line.rstrip(b"\n")
        finally:
            pipe.detach()
