"""Compresses the bodies of messages. Pure: the same body always has the same compressed bytes."""

from __future__ import annotations

import zlib

from dstream_servicebus.publish.message import Message

GZIP = "gzip"
"""The AMQP property `content-encoding` of a compressed message (RFC 9110, 8.4.1.3)."""

_LEVEL = 6
_GZIP_FORMAT = 31
"""zlib writes gzip's header itself then, with the modification time 0."""


def compressed(message: Message, min_bytes: int) -> Message:
    """Return the message with a compressed body; unchanged if its body has fewer bytes or does not shrink."""
    if len(message.body) < min_bytes:
        return message
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_FORMAT)
    body = compressor.compress(message.body) + compressor.flush()
    if len(body) >= len(message.body):
        return message
    encoder = message.encoder.variant(content_encoding=GZIP)
    return Message.of(encoder, message.message_id, body, message.row, message.rows, message.traceparent)
