"""A Service Bus message as this provider means it, apart from how it is encoded."""

from __future__ import annotations

import msgspec

from dstream_servicebus.encoder import Encoder

MAX_ID_LENGTH = 128
"""Characters of message id, session id and partition key (Microsoft: Service Bus quotas)."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to send. A struct and not a dataclass, because one is made for every event."""

    encoder: Encoder
    """Of its head."""
    message_id: str
    body: bytes
    size: int
    """Bytes once encoded."""

    @staticmethod
    def of(encoder: Encoder, message_id: str, body: bytes) -> Message:
        return Message(encoder, message_id, body, encoder.size(len(message_id.encode()), len(body)))
