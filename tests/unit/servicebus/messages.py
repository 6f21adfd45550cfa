"""Builds messages for tests."""

from __future__ import annotations

from dstream_servicebus.publish.encoder import Encoder, Head
from dstream_servicebus.publish.message import Message

PLAIN = Encoder(Head("application/json"))


def message(message_id: str, body_bytes: int = 10) -> Message:
    return Message.of(PLAIN, message_id, b"x" * body_bytes)


def messages(count: int, body_bytes: int = 10) -> list[Message]:
    return [message(str(n), body_bytes) for n in range(count)]
