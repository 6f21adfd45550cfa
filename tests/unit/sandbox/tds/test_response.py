"""Encodes events as tokens with the status flags that clients rely on."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dstream_sandbox.sqlserver.session import (
    Column,
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
from dstream_sandbox.sqlserver.tds.response import Response
from dstream_sandbox.sqlserver.values import SqlType

INT = SqlType("int")
RESULT: list[Event] = [Columns((Column("n", INT),)), Rows([(1,)]), Done(1, is_select=True)]
ERROR = Message(8134, 16, 1, "Divide by zero error encountered.")
MORE, FAILED, COUNT = 0x01, 0x02, 0x10


@dataclass(frozen=True)
class Token:
    kind: int
    status: int = 0
    count: int = 0


def answer(events: list[Event], params: list[Param] | None = None, *, more: bool = False) -> list[Token]:
    """The tokens of a batch, or of a call if there are params. Only DONE tokens have their status and count."""
    parts: list[bytes] = []
    response = Response(parts.append, in_procedure=params is not None)
    for event in events:
        response.event(event)
    if params is None:
        response.end_batch()
    else:
        response.end_procedure(params, more=more)
    return tokens(b"".join(parts))


def tokens(data: bytes) -> list[Token]:
    found, position = [], 0
    while position < len(data):
        kind = data[position]
        position += 1
        if kind in (0xFD, 0xFE, 0xFF):
            status, _, count = struct.unpack_from("<HHQ", data, position)
            found.append(Token(kind, status, count))
            position += 12
            continue
        found.append(Token(kind))
        if kind == 0x81:
            position += 2 + 4 + 2 + 2 + 1 + 2 * data[position + 10]
        elif kind == 0xD1:
            position += 5
        elif kind == 0x79:
            position += 4
        elif kind == 0xAC:
            position += 2 + 1 + 2 * data[position + 2] + 1 + 4 + 2 + 2 + 5
        else:
            position += 2 + int.from_bytes(data[position : position + 2], "little")
    return found


def test_a_result_is_columns_rows_and_a_done_with_its_count() -> None:
    assert answer(RESULT) == [Token(0x81), Token(0xD1), Token(0xFD, COUNT, 1)]


def test_all_but_the_last_done_have_the_more_flag() -> None:
    assert answer([Done(3), *RESULT, Done(None)]) == [
        Token(0xFD, COUNT | MORE, 3),
        Token(0x81),
        Token(0xD1),
        Token(0xFD, COUNT | MORE, 1),
        Token(0xFD),
    ]


def test_an_empty_batch_is_one_done() -> None:
    assert answer([]) == [Token(0xFD)]


def test_a_failed_statement_ends_with_one_failed_done() -> None:
    expected = [Token(0xAA), Token(0xFD, FAILED)]
    assert answer([ERROR]) == expected
    assert answer([ERROR, Done(None)]) == expected


def test_a_statement_after_a_failed_one_is_not_marked_failed() -> None:
    assert answer([ERROR, *RESULT]) == [
        Token(0xAA),
        Token(0xFD, FAILED | MORE),
        Token(0x81),
        Token(0xD1),
        Token(0xFD, COUNT, 1),
    ]


def test_an_information_message_is_not_a_failure() -> None:
    assert answer([Message(0, 10, 1, "printed"), Done(None)]) == [Token(0xAB), Token(0xFD)]


def test_a_call_ends_with_its_status_output_and_a_doneproc() -> None:
    params = [Param("", INT, 1), Param("", INT, None, is_output=True)]
    events: list[Event] = [*RESULT, OutputValue("@out", INT, 2), ReturnStatus(0)]
    assert answer(events, params) == [
        Token(0x81),
        Token(0xD1),
        Token(0xFF, COUNT | MORE, 1),
        Token(0x79),
        Token(0xAC),
        Token(0xFE),
    ]


def test_a_call_before_another_has_the_more_flag() -> None:
    assert answer([ReturnStatus(0)], [], more=True) == [Token(0x79), Token(0xFE, MORE)]


def test_a_failed_call_has_a_failed_doneproc() -> None:
    assert answer([ERROR, ReturnStatus(8134)], [])[-1] == Token(0xFE, FAILED)


def test_output_values_are_matched_by_name_then_by_order() -> None:
    parts: list[bytes] = []
    response = Response(parts.append, in_procedure=True)
    for name in ("@b", "@a", "@x"):
        response.event(OutputValue(name, INT, 1))
    params = [Param("", INT, 0), *[Param(name, INT, 0, is_output=True) for name in ("@A", "@B", "")]]
    response.end_procedure(params, more=False)
    returned = [part for part in parts if part[:1] == b"\xac"]
    ordinals = [int.from_bytes(part[1:3], "little") for part in returned]
    names = [part[4 : 4 + 2 * part[3]].decode("utf-16-le") for part in returned]
    assert (ordinals, names) == ([2, 1, 3], ["@B", "@A", ""])


def test_session_changes_are_sent_as_they_happen() -> None:
    parts: list[bytes] = []
    response = Response(parts.append)
    response.event(TransactionChanged("begin", 5))
    response.event(TransactionChanged("commit", 5))
    response.event(TransactionChanged("rollback", 5))
    response.event(DatabaseChanged("a", "b"))
    five = b"\x08" + (5).to_bytes(8, "little")
    assert parts[:3] == [
        b"\xe3\x0b\x00\x08" + five + b"\x00",
        b"\xe3\x0b\x00\x09\x00" + five,
        b"\xe3\x0b\x00\x0a\x00" + five,
    ]
    assert parts[3] == b"\xe3\x07\x00\x01\x01b\x00\x01a\x00"
