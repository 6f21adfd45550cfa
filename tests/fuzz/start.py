"""Passes any bytes through framing and handshake in this process: only documented exceptions, no line lost."""

from __future__ import annotations

from collections.abc import Sequence

from dstream.protocol import CONTROL_PREFIX
from dstream.protocol.framing import ControlLine, DataLines, LineTooLong, StreamScanner
from dstream.protocol.handshake import Handshake, Payload
from dstream.protocol.messages import BadLine, Log, decode_control, decode_log_fields

MAX_LINE = 200
CHUNK_BYTES = 64


def check(data: bytes, cuts: Sequence[int], *, asked_after: int) -> None:
    """`cuts`: the size of each read, in turn. The host writes line 1 after more than `asked_after` lines."""
    scanner = StreamScanner(MAX_LINE, CHUNK_BYTES)
    handshake = Handshake()
    lines: list[bytes] = []
    try:
        for piece in _reads(data, cuts):
            _receive(scanner, piece)
            while not handshake.is_ready and (line := scanner.take_line()) is not None:
                lines.append(line)
                _hear(handshake, line, is_time_to_ask=len(lines) > asked_after)
            if handshake.is_ready:
                lines += _streamed(scanner, is_legacy=handshake.is_legacy)
    except LineTooLong as error:
        assert error.size > error.limit  # noqa: PT017  # the reported sizes must be true
        assert any(len(line) > MAX_LINE for line in data.split(b"\n"))
    except BadLine:
        pass
    else:
        assert scanner.tail == data[data.rfind(b"\n") + 1 :]
        assert lines == data.split(b"\n")[:-1]
    whole = data.split(b"\n")
    assert lines == whole[: len(lines)]


def _reads(data: bytes, cuts: Sequence[int]) -> Sequence[bytes]:
    pieces = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)] if cuts else len(data)
        pieces.append(data[position : position + size])
        position, turn = position + size, turn + 1
    return pieces


def _receive(scanner: StreamScanner, piece: bytes) -> None:
    while piece:
        space = scanner.space()
        now, piece = piece[: len(space)], piece[len(space) :]
        space[: len(now)] = now
        scanner.received(len(now))


def _hear(handshake: Handshake, line: bytes, *, is_time_to_ask: bool) -> None:
    was_asked = handshake.is_asked
    step = handshake.heard(line)
    if isinstance(step, Payload):
        assert step.line == line
    assert not handshake.is_ready or was_asked or handshake.is_legacy
    if is_time_to_ask:
        handshake.asked()


def _streamed(scanner: StreamScanner, *, is_legacy: bool) -> list[bytes]:
    lines: list[bytes] = []
    for piece in scanner.take_json_lines() if is_legacy else scanner.take():
        if isinstance(piece, DataLines):
            rows = bytes(piece.view).split(b"\n")
            assert rows.pop() == b""
            assert len(rows) == piece.count
            assert is_legacy or not any(row.startswith(CONTROL_PREFIX) for row in rows)
            lines += rows
        else:
            lines.append(piece.line)
            if isinstance(piece, ControlLine):
                _decode(piece.line)
    return lines


def _decode(line: bytes) -> None:
    try:
        control = decode_control(line)
    except BadLine:
        return
    if isinstance(control, Log):
        decode_log_fields(line)
