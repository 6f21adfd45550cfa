"""The input's stdout to the output's stdin: the path of the rows, and the only one that may block (rule 7).

Data lines are counted, never parsed nor copied: a chunk goes from one buffer to the pipe, with the checkpoints, now
without their states, in their places.
"""

from __future__ import annotations

import os
from typing import IO

import msgspec

from dstream.host.checkpoints import Checkpoints
from dstream.host.notes import StdinBroken, Wake
from dstream.host.reader import ProviderReader
from dstream.host.writer import write_all
from dstream.protocol.framing import DataLines, StreamScanner
from dstream.protocol.messages import BadLine, Checkpoint, End, Stop, decode_control, encode

_LOOK_UP_S = 0.2


class Relay(ProviderReader):
    """Give it the output's stdin and the checkpoints before the input gets its line 1.

    It closes that stdin behind the input's end only (rule 11): an EOF at any other time would make the output's exit
    look like the cause of a failure.
    """

    role = "input"
    _checkpoints: Checkpoints
    _output: IO[bytes] | None = None
    has_ended = False
    _discards = False
    bytes_relayed = 0

    def attach(self, output: IO[bytes], checkpoints: Checkpoints) -> None:
        self._output = output
        self._checkpoints = checkpoints

    def discard(self) -> None:
        """Write nothing more; read on only for what the input says of itself, such as its error."""
        self._discards = True

    def _read(self) -> None:
        scanner = StreamScanner(self._job.max_line)
        while self._fill(scanner):
            while not self.handshake.is_ready and (line := scanner.take_line()) is not None:
                self._starting(line)
            if self.handshake.is_ready:
                self._forward(scanner)

    def _fill(self, scanner: StreamScanner) -> bool:
        space = scanner.space()
        self.liveness.waits(self._clock())
        count = os.readv(self._process.stdout.fileno(), [space])
        self.liveness.heard()
        scanner.received(count)
        return count > 0

    def _forward(self, scanner: StreamScanner) -> None:
        out: list[bytes | memoryview] = []
        for piece in scanner.take():
            if isinstance(piece, DataLines):
                self._check_not_ended("a data line")
                self._checkpoints.relayed(piece.count)
                self.bytes_relayed += len(piece.view)
                out.append(piece.view)
            else:
                out.append(self._control(piece.line))
        self._write(out)
        while not self._discards and not self._checkpoints.wait_for_room(self._job.max_in_flight, _LOOK_UP_S):
            pass
        if self.has_ended and self._output is not None:
            self._output.close()
            self._output = None
            self._mailbox.put(Wake())

    def _control(self, line: bytes) -> bytes:
        """What the output gets in the line's place."""
        control = decode_control(line)
        if isinstance(control, Checkpoint):
            self._check_not_ended("a checkpoint")
            if isinstance(control.state, msgspec.UnsetType) or bytes(memoryview(control.state)[:1]) != b"{":
                raise BadLine(f"checkpoint {control.seq} has no state object")
            self._checkpoints.opened(control)
            return encode(Checkpoint(control.seq, control.n))
        if isinstance(control, End):
            self._check_not_ended("a second end")
            self._checkpoints.ended(control)
            self.has_ended = True
            return encode(Stop(round(self._job.drain_deadline_s * 1000)))
        if not self._told(control, line):
            raise BadLine(f"an input does not send {type(control).__name__.lower()} while it runs")
        return b""

    def _check_not_ended(self, what: str) -> None:
        if self.has_ended:
            raise BadLine(f"{what} came after its end")

    def _write(self, out: list[bytes | memoryview]) -> None:
        if self._discards or self._output is None:
            return
        try:
            write_all(self._output.fileno(), out)
        except OSError:  # EPIPE: the output is gone, which is its failure, not this thread's
            self.discard()
            self._mailbox.put(StdinBroken("output"))
