"""Packs several rows into one message. Pure.

A Standard namespace has 1,000 credits per second, one per message sent and one per message received, however large they
are (Microsoft: "Throttling operations on Azure Service Bus").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from dstream_servicebus.publish import cloud_events
from dstream_servicebus.publish.message import Message
from dstream_servicebus.settings.messages import Packing

MAX_PACK_BYTES = 240 * 1024
"""Every tier accepts messages of 256 KB (Microsoft: Service Bus quotas). A row that is larger is alone in its pack."""

_NDJSON = "application/x-ndjson"
_CLOUD_EVENTS = "application/cloudevents-batch+json"
"""CloudEvents, "JSON event format", 4: JSON batch format."""

_DIGEST_CHARS = 32


def packed(messages: Sequence[Message], packing: Packing) -> list[Message]:
    """Pack the messages of a lane, in order. The rows of a pack have the same head, such as subject and properties, and
    the same trace context."""
    packs: list[Message] = []
    rows: list[Message] = []
    size = 0
    for message in messages:
        size += len(message.body) + 1
        if rows and (
            len(rows) == packing.rows_per_message or size > MAX_PACK_BYTES or not _have_same_head(message, rows[0])
        ):
            packs.append(_pack(rows, packing))
            rows, size = [], 0
        if not rows:
            size = message.size
        rows.append(message)
    if rows:
        packs.append(_pack(rows, packing))
    return packs


def _have_same_head(one: Message, other: Message) -> bool:
    has_same = one.encoder is other.encoder or one.encoder.head == other.encoder.head
    return has_same and one.traceparent == other.traceparent


def _pack(rows: Sequence[Message], packing: Packing) -> Message:
    """Join rows. The id is that of a single row, or a hash of the ids: the same rows always give the same id."""
    bodies = [row.body for row in rows]
    first = rows[0].encoder
    if packing.format == "ndjson":
        encoder, body = first.variant(content_type=_NDJSON), b"\n".join(bodies)
    else:
        is_cloud_event = first.head.content_type == cloud_events.MEDIA_TYPE
        encoder = first.variant(content_type=_CLOUD_EVENTS) if is_cloud_event else first
        body = b"[%b]" % b",".join(bodies)
    if len(rows) == 1:
        return Message.of(encoder, rows[0].message_id, body, rows[0].row, traceparent=rows[0].traceparent)
    pack_id = _id_of([row.message_id for row in rows])
    return Message.of(encoder, pack_id, body, b"", tuple(rows), rows[0].traceparent)


def _id_of(ids: Sequence[str]) -> str:
    return hashlib.sha256(msgspec.json.encode(ids)).hexdigest()[:_DIGEST_CHARS]
