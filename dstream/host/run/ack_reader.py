"""The output's stdout: its start, then its acks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from dstream.host.provider import failures
from dstream.host.run.checkpoints import Checkpoints
from dstream.host.run.reader import ProviderReader
from dstream.protocol import CONTROL_PREFIX, MAX_CONTROL_LINE
from dstream.protocol.framing import CHUNK_BYTES, LineBuffer
from dstream.protocol.handshake import Payload
from dstream.protocol.messages import Ack, BadLine, decode_control

_ROW = b'{"data":'


class AckReader(ProviderReader):
    """Reads an output's stdout. Call `attach` before the output receives line 1."""

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
        """Log a line of a legacy output; a row shows that it is an input."""
        if line.startswith(_ROW):
            raise failures.legacy_input_as_output(self._spec)
        self._prose(line)

    def _lines(self) -> Iterator[bytes]:
        # The limit is that of control lines; a legacy output writes only text.
        lines = LineBuffer("control", MAX_CONTROL_LINE, lambda: self.handshake.is_legacy)
        while True:
            self.liveness.waits(self._clock())
            chunk = os.read(self._process.stdout.fileno(), CHUNK_BYTES)
            self.liveness.heard()
            if not chunk:
                break
            yield from lines.feed(chunk)
        # Killed while it wrote a message, it leaves the start of one, which does not violate the protocol.
        starts_message = lines.rest.startswith(CONTROL_PREFIX if self.handshake.hello is None else b"{")
        if lines.rest and not starts_message:
            yield lines.rest
