"""A Service Bus message, independent of its encoding."""

from __future__ import annotations

import msgspec

from dstream_servicebus.publish.encoder import Encoder

MAX_ID_LENGTH = 128
"""Characters of message id, session id and partition key (Microsoft: Service Bus quotas)."""


def is_id(text: str) -> bool:
    """Whether the text is short enough for an id. Counts UTF-16 code units, as .NET does, on which the service runs;
    that it counts them here is unconfirmed."""
    return len(text) <= MAX_ID_LENGTH and (text.isascii() or len(text.encode("utf-16-le")) <= 2 * MAX_ID_LENGTH)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to send. A struct, not a dataclass, because there may be one per event."""

    encoder: Encoder
    """The encoder of the message's head."""
    message_id: str
    body: bytes
    size: int
    """Encoded size in bytes."""
    row: bytes
    """The event as it came, to be kept if it cannot be delivered."""
    rows: tuple[Message, ...] = ()
    """Of a pack: its rows as messages of their own, to be sent instead if the pack is refused."""
    traceparent: str = ""
    """Its trace context; "" without one."""

    @staticmethod
    def of(
        encoder: Encoder,
        message_id: str,
        body: bytes,
        row: bytes | None = None,
        rows: tuple[Message, ...] = (),
        traceparent: str = "",
    ) -> Message:
        """`row`: None if it is the body."""
        size = encoder.size(len(message_id.encode()), len(body), is_traced=bool(traceparent))
        return Message(encoder, message_id, body, size, body if row is None else row, rows, traceparent)
