"""What the protocol allows and drivers rarely do."""

from __future__ import annotations

import struct

import pytest

from tests.integration.sandbox_tds.conftest import Listener
from tests.integration.sandbox_tds.raw_client import (
    ATTENTION,
    END,
    IGNORE,
    RESET,
    SQL_BATCH,
    RawClient,
    batch_payload,
    packet,
)

DONE_ATTENTION = struct.pack("<BHHQ", 0xFD, 0x20, 0, 0)
DONE_FAILED = struct.pack("<BHHQ", 0xFD, 0x02, 0, 0)
RESET_ACKNOWLEDGED = b"\xe3\x03\x00\x12\x00\x00"
ONE = b"\xd1\x04\x01\x00\x00\x00"


def test_the_reset_flag_resets_the_session_and_is_acknowledged_first(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        answer = client.batch("SELECT 1", END | RESET)
        assert answer.startswith(RESET_ACKNOWLEDGED)
        assert ONE in answer
        assert listener.engine.resets == 1
        assert not client.batch("SELECT 1").startswith(RESET_ACKNOWLEDGED)
    assert listener.engine.resets == 1


def test_an_ignored_message_has_no_effect(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        client.send(SQL_BATCH, 0, batch_payload("INSERT one"))
        client.send(SQL_BATCH, END | IGNORE, b"")
        client.send(ATTENTION, END, b"")
        assert client.answer() == DONE_ATTENTION
        assert ONE in client.batch("SELECT 1")
    assert not listener.engine.inserted


def test_an_attention_between_requests_is_acknowledged(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        client.send(ATTENTION, END, b"")
        assert client.answer() == DONE_ATTENTION
        assert ONE in client.batch("SELECT 1")


def test_an_attention_in_the_same_segment_as_its_request_cancels_it(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        client.send_in_pieces([packet(SQL_BATCH, END, batch_payload("SLEEP 60")) + packet(ATTENTION, END, b"")])
        assert client.answer() == DONE_FAILED
        assert client.answer() == DONE_ATTENTION
        assert ONE in client.batch("SELECT 1")


def test_a_request_can_arrive_byte_by_byte_in_many_packets(listener: Listener) -> None:
    payload = batch_payload("SELECT 1")
    packets = b"".join(
        packet(SQL_BATCH, END if n == len(payload) - 1 else 0, payload[n : n + 1]) for n in range(len(payload))
    )
    with RawClient(listener.port) as client:
        client.send_in_pieces(packets[n : n + 1] for n in range(len(packets)))
        assert ONE in client.answer()


@pytest.mark.parametrize("packet_type", [0x00, 0x02, 0x05, 0x7F, 0xFF])
def test_an_unknown_message_ends_the_connection(listener: Listener, packet_type: int) -> None:
    with RawClient(listener.port) as client:
        client.send(packet_type, END, b"whatever")
        with pytest.raises((AssertionError, ConnectionError), match=r"hung up|reset"):
            client.answer()


def test_a_late_attention_does_not_cancel_the_next_request(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        for _ in range(5):
            client.send(SQL_BATCH, END, batch_payload("COUNT 50000000"))
            client.send(ATTENTION, END, b"")
            assert client.answer().endswith(DONE_FAILED)
            assert client.answer() == DONE_ATTENTION
            assert not client.batch("SLEEP 0.1").endswith(DONE_ATTENTION)
