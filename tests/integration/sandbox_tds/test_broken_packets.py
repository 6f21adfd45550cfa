"""Whatever a client sends, it ends at most that client's connection."""

from __future__ import annotations

import random
import struct
from contextlib import suppress

from tests.integration.sandbox_tds.conftest import Listener
from tests.integration.sandbox_tds.raw_client import END, SQL_BATCH, RawClient, batch_payload, packet

RPC, BULK_LOAD, TRANSACTION = 0x03, 0x07, 0x0E
HEADERS = batch_payload("")
CALL = HEADERS + struct.pack("<HHH", 0xFFFF, 10, 0)
PARAMETER = b"\x00\x00\xe7\x40\x1f\x09\x04\xd0\x00\x34" + struct.pack("<H", 16) + "SELECT 1".encode("utf-16-le")
MESSAGES = [
    (SQL_BATCH, batch_payload("SELECT 1")),
    (RPC, CALL + PARAMETER),
    (TRANSACTION, HEADERS + struct.pack("<H", 5) + b"\x00\x00"),
    (
        BULK_LOAD,
        b"\x81\x01\x00" + b"\0" * 6 + b"\x26\x04\x01a\x00" + b"\xd1\x04\x01\x00\x00\x00" + b"\xfd" + b"\0" * 12,
    ),
]


def test_intact_messages_are_answered(listener: Listener) -> None:
    with RawClient(listener.port) as client:
        for packet_type, payload in MESSAGES:
            client.send(packet_type, END, payload)
            assert client.answer()


def test_mutated_messages_leave_the_server_alive(listener: Listener) -> None:
    source = random.Random(7)
    for _ in range(150):
        packet_type, payload = source.choice(MESSAGES)
        broken = bytearray(payload)
        for _ in range(source.randint(1, 4)):
            broken[source.randrange(len(broken))] = source.randrange(256)
        cut = bytes(broken[: source.randint(1, len(broken))])
        with RawClient(listener.port) as client:
            client.send_in_pieces([packet(packet_type, END, cut)])
            with suppress(AssertionError, ConnectionError):
                client.answer()
    with RawClient(listener.port) as client:
        assert client.batch("SELECT 1")
