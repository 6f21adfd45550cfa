"""A Service Bus message as this provider means it, apart from how it is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from dstream_servicebus.encoder import Encoder

MAX_ID_LENGTH = 128
"""Characters of message id, session id and partition key (Microsoft: Service Bus quotas)."""


@dataclass(frozen=True, slots=True)
class Head:
    """All that a message carries beside its id and its body; messages of one table and operation usually share it."""

    content_type: str
    session_id: str | None = None
    partition_key: str | None = None
    subject: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    ttl_s: int | None = None
    """Whole seconds, as the SDK rounds them."""


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
