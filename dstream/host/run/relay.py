"""Relays rows from a provider's stdout to the next one's stdin, the only path that may block (rule 7).

Data lines are counted, never parsed or copied: a chunk goes from one buffer to the pipe, with the checkpoints in place
but without their states. For providers of the original protocol, the relay adds what they lack: checkpoints for an
input that writes none, and acks, at the time of writing, for an output that sends none.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

import msgspec

from dstream.host.provider.link import ProviderLink
from dstream.host.provider.process import is_readable
from dstream.host.provider.writer import write_all
from dstream.host.run.notes import StdinBroken, Wake
from dstream.host.run.reader import ProviderReader
from dstream.protocol.framing import ControlLine, DataLines, ProseLine, StreamScanner
from dstream.protocol.handshake import Payload
from dstream.protocol.legacy_log import legacy_log
from dstream.protocol.messages import BadLine, Checkpoint, End, Role, Stop, decode_control, encode

_LOOK_UP_S = 0.2
_LAST_EXIT_S = 2.0
_LEASE_POLL_S = 0.05
_HOST_CHECKPOINT_ROWS = 500
_HOST_CHECKPOINT_S = 0.2
"""For an input without checkpoints: the maximum rows and seconds before the host adds one."""


@dataclass(frozen=True, slots=True)
class Modes:
    """What the providers leave to the host."""

    input_is_legacy: bool = False
    """It has no control lines, may write text between rows, and ends at EOF if it exits with 0."""
    host_checkpoints: bool = False
    settles_on_write: bool = False
    """The output sends no acks and gets no control lines: a row counts as delivered when it is in the pipe."""


class RowLedger(Protocol):
    """Where a relay reports what it passes on: the task's checkpoints, or the passage through a transform."""

    def relayed(self, rows: int, size: int, read_s: float = 0.0) -> bytes: ...

    def opened(self, checkpoint: Checkpoint) -> None: ...

    def ended(self, end: End) -> None: ...

    def settle_all(self) -> None: ...

    def wait_for_room(self, max_in_flight: int, timeout_s: float) -> bool: ...

    def may_pass_on(self) -> bool: ...


class Relay(ProviderReader):
    """Relays rows of the input. Call `attach` before the input receives line 1.

    It closes the output's stdin only after the input's end (rule 11): with an EOF at any other time, the output's exit
    would look like the cause of a failure.
    """

    role: Role = "input"
    _ledger: RowLedger
    _next: Role = "output"
    _output: IO[bytes] | None = None
    _modes = Modes()
    has_ended = False
    rows_relayed = 0
    bytes_relayed = 0
    wake_at_rows: int | None = None
    """Wake the main thread when this many rows have been relayed."""
    _blocked_since_s: float | None = None
    _is_attached = False
    _discards = False
    _host_seq = 0
    _uncovered = 0
    _uncovered_since_s = 0.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._attached = threading.Event()

    def attach(self, following: ProviderLink, ledger: RowLedger, modes: Modes) -> None:
        """`following`: the provider that gets the rows."""
        self._next = following.role
        self._output = following.process.stdin
        self._ledger = ledger
        self._modes = modes
        self._is_attached = True
        self._attached.set()

    def discard(self) -> None:
        """Stop writing; keep reading only for control lines such as the input's error."""
        self._discards = True
        self._attached.set()

    def expect_end(self) -> None:
        """Accept EOF as the end, whatever the exit code: the legacy input was sent SIGTERM."""
        self.expects_end = True

    def blocked_s(self, now_s: float) -> float:
        """Return how long the output has taken no rows, although there are some; called by the main thread."""
        since = self._blocked_since_s
        return 0.0 if since is None else now_s - since

    def _read(self) -> None:
        scanner = StreamScanner(self._job.max_line)
        while self._fill(scanner):
            while not self.handshake.is_ready and (line := scanner.take_line()) is not None:
                if isinstance(self._starting(line), Payload):
                    self._attached.wait()
                    self._forward([DataLines(memoryview(line + b"\n"), 1)])
            if self.handshake.is_ready:
                self._forward(scanner.take_json_lines() if self._modes.input_is_legacy else scanner.take())
        if self.handshake.is_legacy:
            self._end_of_legacy(scanner.tail)

    def _fill(self, scanner: StreamScanner) -> bool:
        space = scanner.space()
        self._cover_while_quiet()  # may wait for the output, which is not the input's silence
        self.liveness.waits(self._clock())
        count = os.readv(self._process.stdout.fileno(), [space])
        self.liveness.heard()
        scanner.received(count)
        return count > 0

    def _forward(self, pieces: Sequence[DataLines | ControlLine | ProseLine]) -> None:
        if not self._is_attached:  # discarded during start: the rows have no output, but an error explains the end
            for piece in pieces:
                if isinstance(piece, ControlLine):
                    self._told(decode_control(piece.line), piece.line)
            return
        out: list[bytes | memoryview] = []
        for piece in pieces:
            if isinstance(piece, DataLines):
                self._check_not_ended("a data line")
                self._rows(piece.count, piece.view, out)
            elif isinstance(piece, ProseLine):
                self._prose(piece.line)
            else:
                self._control(piece.line, out)
        if self._uncovered >= _HOST_CHECKPOINT_ROWS:
            self._cover(out)
        self._write(out)

    def _control(self, line: bytes, out: list[bytes | memoryview]) -> None:
        """Append the line's replacement for the output."""
        control = decode_control(line)
        if isinstance(control, Checkpoint):
            self._check_not_ended("a checkpoint")
            if self._modes.host_checkpoints:
                raise BadLine('a checkpoint came from an input without the capability "checkpoint"')
            self._open(control)
            out.append(encode(Checkpoint(control.seq, control.n)))
        elif isinstance(control, End):
            self._check_not_ended("a second end")
            self._end(control, out)
        elif not self._told(control, line):
            raise BadLine(f"the role {self.role} does not send {type(control).__name__.lower()} while it runs")

    def _open(self, checkpoint: Checkpoint) -> None:
        if isinstance(checkpoint.state, msgspec.UnsetType) or bytes(memoryview(checkpoint.state)[:1]) != b"{":
            raise BadLine(f"checkpoint {checkpoint.seq} has no state object")
        self._ledger.opened(checkpoint)

    def _read_s(self) -> float:
        """When the rows that arrive now were read at the source."""
        return self._report.read_s()

    def _end(self, end: End, out: list[bytes | memoryview]) -> None:
        if self._modes.host_checkpoints:
            self._cover(out)
            end = End(self._host_seq)
        self._ledger.ended(end)
        self.has_ended = True
        out.append(encode(Stop(round(self._job.drain_deadline_s * 1000))))

    def _check_not_ended(self, what: str) -> None:
        if self.has_ended:
            raise BadLine(f"{what} came after its end")

    def _write(self, out: Sequence[bytes | memoryview]) -> None:
        if self._discards or self._output is None:
            return
        lines = [part for part in out if isinstance(part, memoryview)] if self._modes.settles_on_write else out
        self._blocked_since_s = self._clock()
        while not self._ledger.may_pass_on():
            time.sleep(_LEASE_POLL_S)
            if self._discards:
                return
        try:
            write_all(self._output.fileno(), lines)
        except OSError:  # EPIPE: the output is gone; the main thread finds out why
            self.discard()
            self._blocked_since_s = None
            self._mailbox.put(StdinBroken(self._next))
            return
        if self._modes.settles_on_write:
            self._ledger.settle_all()
        while not self._discards and not self._ledger.wait_for_room(self._job.max_in_flight, _LOOK_UP_S):
            pass
        self._blocked_since_s = None
        if self.has_ended:
            self._output.close()
            self._output = None
            self._mailbox.put(Wake())

    def _rows(self, count: int, lines: memoryview, out: list[bytes | memoryview]) -> None:
        """Count the rows and append their lines."""
        if context := self._ledger.relayed(count, len(lines), self._read_s()):
            out.append(context)
        out.append(lines)
        self.rows_relayed += count
        self.bytes_relayed += len(lines)
        if self.wake_at_rows is not None and self.rows_relayed >= self.wake_at_rows:
            self.wake_at_rows = None
            self._mailbox.put(Wake())
        if self._modes.host_checkpoints:
            if self._uncovered == 0:
                self._uncovered_since_s = self._clock()
            self._uncovered += count

    def _cover(self, out: list[bytes | memoryview]) -> None:
        """Add a checkpoint created by the host, with an empty state."""
        if self._uncovered:
            self._host_seq += 1
            self._ledger.opened(Checkpoint(self._host_seq, self._uncovered, msgspec.Raw(b"{}")))
            out.append(encode(Checkpoint(self._host_seq, self._uncovered)))
            self._uncovered = 0

    def _cover_while_quiet(self) -> None:
        if not self._uncovered:
            return
        left_s = max(0.0, self._uncovered_since_s + _HOST_CHECKPOINT_S - self._clock())
        if not is_readable(self._process.stdout.fileno(), left_s):
            out: list[bytes | memoryview] = []
            self._cover(out)
            self._write(out)

    def _end_of_legacy(self, tail: bytes) -> None:
        """Treat EOF as the end if the input exits with 0; its unterminated last line then counts too."""
        self._process.wait(_LAST_EXIT_S)
        exit_code = self._process.exit_code
        if self._discards or not self._attached.is_set() or (exit_code != 0 and not self.expects_end):
            return
        out: list[bytes | memoryview] = []
        if tail.startswith(b"{") and exit_code == 0 and not legacy_log(tail):
            self._rows(1, memoryview(tail + b"\n"), out)
        elif tail:
            self._prose(tail)
        self._end(End(0), out)
        self._write(out)
