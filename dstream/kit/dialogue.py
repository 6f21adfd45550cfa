"""One run of a provider under test: what the kit writes to it, and everything it writes.

Threads: the caller's thread waits; one writes, since a provider may stop reading; another reads and records stdout;
ProviderProcess has its own for stderr and exit. A dialogue validates single lines only; the checks interpret them
together.
"""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, cast

import msgspec

from dstream.host.provider.process import ProviderProcess
from dstream.host.provider.spec import ProviderSpec
from dstream.host.provider.writer import PipeWriter
from dstream.kit.limits import CheckLimits
from dstream.protocol import CONTROL_PREFIX, DEFAULT_MAX_LINE, MAX_CHECKPOINT_LINE, MAX_CONTROL_LINE, PROTOCOL_VERSION
from dstream.protocol.dead_letters import DeadLetter, DeadLettersDone, decode_dead_letter
from dstream.protocol.lifecycle import LifecycleCommand, LifecycleName, LifecycleResult, decode_result
from dstream.protocol.messages import (
    UNREADABLE,
    Ack,
    BadLine,
    Checkpoint,
    Command,
    Control,
    End,
    Error,
    Hello,
    Infrastructure,
    Role,
    RunOptions,
    Status,
    Welcome,
    decode_control,
    decode_status,
    encode,
)

_ROWS_KEPT = 50_000
_BYTES_KEPT = 32 * 1024 * 1024
_LONGEST_QUOTE = 100
_EXIT_AFTER_KILL_S = 5.0

FaultKind = Literal["stray", "framing", "row"]


@dataclass(frozen=True, slots=True)
class Fault:
    """An invalid line: unexpected text, an unreadable message, a malformed row."""

    kind: FaultKind
    reason: str


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """A control line and its position: the number of rows before it, and of checkpoints sent by the kit so far."""

    message: Control
    rows_before: int
    checkpoints_given: int


@dataclass
class Transcript:
    """What a provider has written so far. Read it under `Dialogue.wait_for`, or after the dialogue."""

    first_line: bytes | None = None
    hello: Hello | None = None
    status: Status | None = None
    """The answer to line 1 of `run`."""
    result: LifecycleResult | None = None
    """The last line of a lifecycle command."""
    said: list[ReceivedLine] = field(default_factory=list)
    dead_letters: list[DeadLetter | DeadLettersDone] = field(default_factory=list)
    """The answer to a command about dead letters."""
    rows: list[bytes] = field(default_factory=list)
    """The first rows; `row_count` counts all."""
    row_count: int = 0
    row_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)
    revealed: set[str] = field(default_factory=set)
    """Where a secret appeared: stdout, stderr."""
    is_over: bool = False
    """stdout has ended."""

    @property
    def checkpoints(self) -> list[ReceivedLine]:
        return [each for each in self.said if isinstance(each.message, Checkpoint)]

    @property
    def acks(self) -> list[ReceivedLine]:
        return [each for each in self.said if isinstance(each.message, Ack)]

    @property
    def end(self) -> ReceivedLine | None:
        return next((each for each in self.said if isinstance(each.message, End)), None)

    @property
    def error(self) -> Error | None:
        return next((each.message for each in self.said if isinstance(each.message, Error)), None)


class Dialogue:
    """Starts the provider. As a context manager, it kills the provider on exit if it is still running."""

    def __init__(
        self, role: Role, spec: ProviderSpec, limits: CheckLimits, *, environ: Mapping[str, str], secrets: Iterable[str]
    ) -> None:
        self._limits = limits
        self._role = role
        self._secrets = [secret.encode() for secret in secrets]
        self._changed = threading.Condition()
        self._checkpoints_given = 0
        self._was_cut_short = False
        self._asked_lifecycle = False
        self.record = Transcript()
        self.started_at_s = time.monotonic()
        self._process = ProviderProcess(
            role, spec, cwd=None, environ=environ, on_stderr=self._heard_stderr, on_exit=self._notify
        )
        # What it does not read is detected by its missing answers.
        self._writer = PipeWriter("kit-stdin", self._process.stdin, lambda: None)
        self._writer.start()
        self._reader = threading.Thread(target=self._read, name="kit-stdout", daemon=True)
        self._reader.start()

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Kill it if it is still running."""
        self._was_cut_short = self._was_cut_short or self.exit_code is None
        self._process.end(signal.SIGKILL)
        self._process.wait(_EXIT_AFTER_KILL_S)
        self._writer.release()
        self._writer.join(1.0)
        self._reader.join(1.0)
        self._process.join(1.0, closes_stdin=not self._writer.is_alive(), closes_stdout=not self._reader.is_alive())

    def wait_for(self, reached: Callable[[Transcript], Any], timeout_s: float) -> bool:
        """Return whether the condition becomes true in time; return early once the provider can no longer write."""
        with self._changed:
            self._changed.wait_for(lambda: reached(self.record) or self.record.is_over, timeout_s)
            return bool(reached(self.record))

    def wait_for_checkpoint(self, seen: int, timeout_s: float) -> bool:
        """Return whether an input writes more than `seen` checkpoints, or its end line."""
        return self.wait_for(lambda record: len(record.checkpoints) > seen or record.end, timeout_s)

    def wait_for_row(self, seen: int, timeout_s: float) -> bool:
        """Return whether an input writes more than `seen` rows, or its end line."""
        return self.wait_for(lambda record: len(record.rows) > seen or record.end, timeout_s)

    def ask(self, command: str, config: Mapping[str, Any], **more: Any) -> None:
        """Send line 1; `more` are additional fields. For a run, an input is also sent welcome."""
        fields = msgspec.to_builtins(Command(command, config=dict(config), run=RunOptions(task="kit", id="kit")))
        if once := more.pop("once", False):
            fields["run"]["once"] = once
        if max_in_flight := more.pop("max_in_flight", 0):
            fields["run"]["max_in_flight"] = max_in_flight
        self.write(msgspec.json.encode({**fields, **more}) + b"\n")
        if command == "run" and self._role == "input":
            self.tell(Welcome(PROTOCOL_VERSION))

    def ask_lifecycle(self, command: LifecycleName, config: Mapping[str, Any], work_dir: str, **options: Any) -> None:
        """Send line 1 of a lifecycle command; `options` may contain unknown ones."""
        self._asked_lifecycle = True
        infrastructure = Infrastructure(task="kit", stack="kit", work_dir=work_dir)
        fields = msgspec.to_builtins(LifecycleCommand(command, dict(config), infrastructure))
        fields["options"].update(options)
        self.write(msgspec.json.encode(fields) + b"\n")

    def tell(self, message: msgspec.Struct) -> None:
        if isinstance(message, Checkpoint):
            self._checkpoints_given += 1
        self.write(encode(message))

    def write(self, data: bytes) -> None:
        """Write whole lines, in order, without waiting until they are read."""
        self._writer.send(data)

    def acknowledge(self) -> None:
        """Acknowledge an input's newest checkpoint: acks are cumulative."""
        checkpoints = self.record.checkpoints
        if checkpoints:
            self.tell(Ack(cast(Checkpoint, checkpoints[-1].message).seq))

    def close_stdin(self) -> None:
        """Close it after everything is written."""
        self._writer.close()

    def kill(self) -> None:
        self._process.end(signal.SIGKILL)

    def exits(self, timeout_s: float) -> bool:
        return self._process.wait(timeout_s)

    def closes_stdout(self, timeout_s: float) -> bool:
        """Return whether its stdout is closed in time, by every process that holds it."""
        return self.wait_for(lambda record: record.is_over, timeout_s)

    @property
    def exit_code(self) -> int | None:
        return self._process.exit_code

    def ending(self) -> str:
        """Describe how it ended on its own: its exit code and its last stderr line."""
        if self._was_cut_short or self.exit_code is None:
            return "it is still running"
        how = f"it was killed by signal {-self.exit_code}" if self.exit_code < 0 else f"it exited with {self.exit_code}"
        stderr = self._process.last_stderr_lines()
        return f"{how}, last on stderr: {_quote(stderr[-1].encode())}" if stderr else how

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _heard_stderr(self, text: str) -> None:
        self._look_for_secrets(text.encode(), "stderr")

    def _look_for_secrets(self, line: bytes, where: str) -> None:
        if any(secret in line for secret in self._secrets):
            self.record.revealed.add(where)

    def _read(self) -> None:
        # A copy of the descriptor, so that closing this reader does not close the process's.
        with io.BufferedReader(io.FileIO(os.dup(self._process.stdout.fileno()))) as lines:
            while line := lines.readline(DEFAULT_MAX_LINE + 2):
                with self._changed:
                    self._heard(line)
                    self._changed.notify_all()
        with self._changed:
            self.record.is_over = True
            self._changed.notify_all()

    def _heard(self, line: bytes) -> None:
        self._look_for_secrets(line, "stdout")
        record = self.record
        if not line.endswith(b"\n"):
            is_long = len(line) > DEFAULT_MAX_LINE
            what = "a line over 16 MiB" if is_long else f"its last line has no newline: {_quote(line)}"
            record.faults.append(Fault("framing", what))
            return
        line = line[:-1]
        if record.first_line is None:
            record.first_line = line
        if line.startswith(CONTROL_PREFIX):
            self._heard_control(line)
        elif self._asked_lifecycle and record.result is None and (result := decode_result(line)):
            record.result = result
        elif record.status is None and (status := decode_status(line)):
            record.status = status
        elif line.startswith(b"{") and self._may_write_rows():
            self._heard_row(line)
        else:
            record.faults.append(Fault("stray", f"unexpected text on stdout: {_quote(line)}"))

    def _may_write_rows(self) -> bool:
        """Inputs and transforms while they run; an output after a dead letter that it shows."""
        return bool(self.record.dead_letters) if self._role == "output" else self.record.status is not None

    def _heard_control(self, line: bytes) -> None:
        record = self.record
        limit = MAX_CHECKPOINT_LINE if b'"checkpoint"' in line[:64] else MAX_CONTROL_LINE
        if len(line) > limit:
            record.faults.append(Fault("framing", f"a control line of {len(line):,} bytes; the limit is {limit:,}"))
            return
        try:
            if (answer := decode_dead_letter(line)) is not None:
                record.dead_letters.append(answer)
                return
            message = decode_control(line)
        except BadLine as error:
            record.faults.append(Fault("framing", f"{error}: {_quote(line)}"))
            return
        if isinstance(message, Hello) and record.hello is None:
            record.hello = message
        elif message is not None:
            record.said.append(ReceivedLine(message, record.row_count, self._checkpoints_given))

    def _heard_row(self, line: bytes) -> None:
        record = self.record
        wrong = _wrong_with_row(line)
        if wrong:
            record.faults.append(Fault("row", f"{wrong}: {_quote(line)}"))
        if record.end is not None:
            record.faults.append(Fault("row", f"a row after its end line: {_quote(line)}"))
        record.row_count += 1
        record.row_bytes += len(line)
        if len(record.rows) < _ROWS_KEPT and record.row_bytes < _BYTES_KEPT:
            record.rows.append(line)


def _wrong_with_row(line: bytes) -> str:
    try:
        fields = msgspec.json.decode(line)
    except UNREADABLE as error:
        return f"a row that is not JSON ({error})"
    return "" if "data" in fields else 'a row without "data"'


def _quote(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
