"""A JSON log line of a legacy provider is told apart from a row, which must never be lost."""

from __future__ import annotations

import pytest

from dstream.protocol.framing import DataLines, ProseLine, StreamScanner
from dstream.protocol.handshake import Greeted, Handshake, Payload, Prose
from dstream.protocol.legacy_log import legacy_log

ZEROLOG = b'{"level":"info","msg":"connected","host":"db"}'
SERILOG = b'{"Level":"Information","Message":"connected"}'
PINO = b'{"severity":"WARNING","message":"slow"}'
HELLO = b'{"dstream":"hello","protocol":1,"role":"input","name":"counter","capabilities":["checkpoint"]}'


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [(ZEROLOG, "info", "connected"), (SERILOG, "info", "connected"), (PINO, "warning", "slow")],
)
def test_a_level_and_a_message_make_a_log_line(line: bytes, level: str, message: str) -> None:
    found = legacy_log(line)
    assert found is not None
    assert (found.level, found.message) == (level, message)


@pytest.mark.parametrize(
    "line",
    [
        b'{"data":{"level":"info","msg":"a log table is replicated"},"metadata":{}}',
        b'{"level":"info","msg":"x","data":{}}',
        b'{"level":3,"message":"of a dungeon"}',
        b'{"level":"boss","message":"of a dungeon"}',
        b'{"level":"info"}',
        b'{"level":"info","msg":1}',
        b'{"level":"info","msg":"broken"',
        b'{"level":"info","msg":"\xff"}',
        b'{"level":"info","msg":"x","more":"\xff"}',
        b"level: info",
    ],
)
def test_anything_that_could_be_a_row_is_not_a_log_line(line: bytes) -> None:
    assert legacy_log(line) is None


def test_log_lines_are_separated_from_rows() -> None:
    row = b'{"data":{"n":1},"metadata":{}}'
    scanner = StreamScanner()
    text = b"\n".join([row, ZEROLOG, row, b""])
    scanner.space()[: len(text)] = text
    scanner.received(len(text))
    pieces = [bytes(piece.view) if isinstance(piece, DataLines) else piece.line for piece in scanner.take_json_lines()]
    assert pieces == [row + b"\n", ZEROLOG, row + b"\n"]
    assert ProseLine(ZEROLOG).line == ZEROLOG


def test_a_log_line_decides_nothing_about_the_protocol() -> None:
    modern, original = Handshake(), Handshake()
    assert isinstance(modern.heard(ZEROLOG), Prose)
    assert isinstance(modern.heard(HELLO), Greeted)
    assert isinstance(original.heard(ZEROLOG), Prose)
    assert isinstance(original.heard(b'{"id":1}'), Payload)
