"""Events to tokens: a session's answers, in the order and with the marks that clients expect.

A DONE is held back until it is known whether anything follows, because it contains that information (DONE_MORE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dstream_sandbox.sqlserver.session import (
    Columns,
    DatabaseChanged,
    Done,
    Event,
    Message,
    OutputValue,
    Param,
    ReturnStatus,
    Rows,
    TransactionChanged,
)
from dstream_sandbox.sqlserver.tds import tokens
from dstream_sandbox.sqlserver.tds.encoding import encoding
from dstream_sandbox.sqlserver.tds.rows import RowEncoder

Write = Callable[[bytes], None]

_PIECE_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class CursorColumns(Columns):
    """A server cursor's columns. The last one is the row status, which drivers hide."""


@dataclass(frozen=True, slots=True)
class HeldDone:
    """A DONE that has not been sent yet."""

    kind: int
    status: int
    command: int
    count: int | None

    def token(self, extra_status: int) -> bytes:
        return tokens.done(self.kind, self.status | extra_status, self.command, self.count)


@dataclass(frozen=True, slots=True)
class Recording:
    """A statement's tokens, and the DONE that ends them."""

    tokens: bytes
    held: HeldDone | None


class Response:
    """The token stream of one batch, or of one procedure call when `in_procedure`."""

    def __init__(self, write: Write, *, in_procedure: bool = False, compact: bool = True, database: str = "") -> None:
        self._out = write
        self._in_procedure = in_procedure
        self._compact = compact
        self._database = database
        self._rows: RowEncoder | None = None
        self._held: HeldDone | None = None
        self._error_pending = False
        self._failed = False
        self._return_status: int | None = None
        self._outputs: list[OutputValue] = []
        self._recorded: list[bytes] | None = None

    def event(self, event: Event) -> None:
        """Send the tokens of one event."""
        match event:
            case Rows():
                self._send_rows(event)
            case Columns():
                self._begin_result(event)
            case Done():
                self._hold_done(event)
            case Message():
                self.message(event)
            case ReturnStatus():
                self._note_return_status(event)
            case OutputValue():
                self._outputs.append(event)
            case DatabaseChanged():
                self._database = event.new
                self._send(tokens.database_changed(event.new, event.old))
            case TransactionChanged():
                self._send(tokens.transaction_changed(event.kind, event.descriptor))

    def message(self, message: Message) -> None:
        """Send an error or an informational message."""
        self._send(tokens.message_token(message))
        if tokens.is_error(message):
            self._error_pending = True
            self._failed = True

    def start_recording(self) -> None:
        """Start recording what is sent."""
        self._send(b"")
        self._recorded = []

    def stop_recording(self) -> Recording | None:
        """Return what was sent since recording started; None if it includes an error."""
        recorded, self._recorded = self._recorded or [], None
        return None if self._failed else Recording(b"".join(recorded), self._held)

    def send_recording(self, recording: Recording) -> None:
        """Send what another response recorded."""
        for start in range(0, len(recording.tokens), _PIECE_BYTES):
            self._send(recording.tokens[start : start + _PIECE_BYTES])
        self._held = recording.held

    def end_batch(self) -> None:
        """End the batch."""
        self._close_failed_statement()
        held = self._held or HeldDone(tokens.DONE, 0, tokens.COMMAND_NONE, None)
        self._held = None
        self._write(held.token(0))

    def end_procedure(self, params: Sequence[Param], *, more: bool) -> None:
        """End the call: send its return status and output parameters, and whether another call's answer follows."""
        self._close_failed_statement()
        if self._return_status is not None:
            self._send(tokens.return_status(self._return_status))
        for ordinal, output in _placed(self._outputs, params):
            self._send(tokens.return_value(ordinal, output))
        status = (tokens.MORE if more else 0) | (tokens.HAS_ERROR if self._failed else 0)
        self._send(tokens.done(tokens.DONE_PROCEDURE, status))

    def _send(self, data: bytes) -> None:
        if self._held:
            self._write(self._held.token(tokens.MORE))
            self._held = None
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._out(data)
        if self._recorded is not None:
            self._recorded.append(data)

    def _begin_result(self, event: Columns) -> None:
        self._close_failed_statement()
        encodings = [encoding(column.type, self._database) for column in event.columns]
        self._rows = RowEncoder(encodings, compact=self._compact)
        self._send(tokens.column_metadata(event.columns, encodings))
        if isinstance(event, CursorColumns):
            self._send(tokens.cursor_columns(len(event.columns)))

    def _send_rows(self, event: Rows) -> None:
        if self._rows is None:
            raise RuntimeError("rows came before their columns")
        self._send(self._rows.encode(event.rows))

    def _hold_done(self, event: Done) -> None:
        status = tokens.HAS_ERROR if self._error_pending else 0
        self._error_pending = False
        command = tokens.COMMAND_NONE
        if event.is_select:
            command = tokens.COMMAND_SELECT
        elif event.count is not None:
            command = tokens.COMMAND_UPDATE
        self._hold(HeldDone(self._kind(), status, command, event.count))

    def _hold(self, done: HeldDone) -> None:
        self._send(b"")
        self._held = done

    def _close_failed_statement(self) -> None:
        """A failed statement has its own DONE, whether or not the engine sent one."""
        if self._error_pending:
            self._hold_done(Done(None))

    def _note_return_status(self, event: ReturnStatus) -> None:
        if self._in_procedure:
            self._return_status = event.value
            return
        self._close_failed_statement()
        self._send(tokens.return_status(event.value))
        self._held = HeldDone(tokens.DONE_PROCEDURE, 0, tokens.COMMAND_NONE, None)

    def _kind(self) -> int:
        return tokens.DONE_IN_PROCEDURE if self._in_procedure else tokens.DONE


def _placed(outputs: Sequence[OutputValue], params: Sequence[Param]) -> list[tuple[int, OutputValue]]:
    """Return each output value with the ordinal and name of its parameter in the call: by name, otherwise by order."""
    open_ordinals = [ordinal for ordinal, param in enumerate(params) if param.is_output]
    placed = []
    for output in outputs:
        named = [o for o in open_ordinals if params[o].name and params[o].name.lower() == output.name.lower()]
        unnamed = [o for o in open_ordinals if not params[o].name]
        ordinal = next(iter(named or unnamed), None)
        if ordinal is None:
            continue
        open_ordinals.remove(ordinal)
        placed.append((ordinal, replace(output, name=params[ordinal].name)))
    return placed
