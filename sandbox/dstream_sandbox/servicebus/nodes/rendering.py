"""Encodes a `core.Delivery` for a receiver: the sender's sections with the broker's header and annotations.

Names and types of the annotations: Microsoft, "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide", message
annotations.
"""

from __future__ import annotations

import struct
from uuid import UUID

from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.sections import Section, scan
from dstream_sandbox.servicebus.amqp.values import Int, Symbol, Timestamp, UInt
from dstream_sandbox.servicebus.core import Delivery

__all__ = ["lock_token_uuid", "render"]

_STATES = {"active": 0, "deferred": 1, "scheduled": 2}
_DELIVERY_COUNT = 4


def lock_token_uuid(token: bytes) -> UUID:
    """Convert a lock token, which is sent as a delivery tag in the octet order of a .NET Guid."""
    return UUID(bytes_le=token)


def render(delivery: Delivery, *, embedded: bool = False) -> bytes:
    """Encode a delivery. `embedded`: the message is part of a $management response, where Go's SDK reads the lock token
    from the delivery annotations."""
    encoded = delivery.message.encoded
    sections = scan(encoded)
    out = bytearray(_header(encoded, sections.header, delivery.delivery_count))
    if embedded and delivery.lock_token:
        out += b"\x00\x53\x71" + encode({Symbol("x-opt-lock-token"): lock_token_uuid(delivery.lock_token)})
    out += _annotations(encoded, sections.message_annotations, delivery)
    if not delivery.set_properties:
        rest = sections.properties or sections.application_properties or sections.body
        return bytes(out) + encoded[rest[0] :] if rest else bytes(out)
    if sections.properties:
        out += encoded[sections.properties[0] : sections.properties[2]]
    out += _application_properties(encoded, sections.application_properties, delivery)
    if sections.body:
        out += encoded[sections.body[0] :]
    return bytes(out)


def _header(encoded: bytes, span: tuple[int, int, int] | None, delivery_count: int) -> bytes:
    if span is None:
        return _SHORT_HEADERS[delivery_count] if delivery_count < len(_SHORT_HEADERS) else _new_header(delivery_count)
    fields = decode(encoded, span[1])[0]
    known = list(fields)[:_DELIVERY_COUNT] if isinstance(fields, list) else []
    padding: list[object] = [None] * (_DELIVERY_COUNT - len(known))
    return encode_composite(Section.HEADER, [*known, *padding, UInt(delivery_count)])


def _new_header(delivery_count: int) -> bytes:
    return encode_composite(Section.HEADER, [None, None, None, None, UInt(delivery_count)])


_SHORT_HEADERS = [_new_header(count) for count in range(16)]


def _annotations(encoded: bytes, span: tuple[int, int, int] | None, delivery: Delivery) -> bytes:
    if span is None and delivery.dead_letter_source is None and delivery.state == "active":
        return _plain_annotations(delivery)
    original = decode(encoded, span[1])[0] if span else {}
    annotations: dict[object, object] = dict(original) if isinstance(original, dict) else {}
    annotations[Symbol("x-opt-enqueued-time")] = Timestamp(int(delivery.enqueued_at * 1000))
    annotations[Symbol("x-opt-sequence-number")] = delivery.sequence_number
    if delivery.locked_until is not None:
        annotations[Symbol("x-opt-locked-until")] = Timestamp(int(delivery.locked_until * 1000))
    if delivery.dead_letter_source is not None:
        annotations[Symbol("x-opt-deadletter-source")] = delivery.dead_letter_source
    annotations[Symbol("x-opt-message-state")] = Int(_STATES[delivery.state])
    return b"\x00\x53\x72" + encode(annotations)


def _plain_annotations(delivery: Delivery) -> bytes:
    """Write the same annotations as the general case, but faster, for the most common case."""
    octets, count = _ENQUEUED + _LONG.pack(int(delivery.enqueued_at * 1000)), 6
    octets += _SEQUENCE + _LONG.pack(delivery.sequence_number)
    if delivery.locked_until is not None:
        octets += _LOCKED + _LONG.pack(int(delivery.locked_until * 1000))
        count += 2
    octets += _ACTIVE
    return b"\x00\x53\x72\xc1" + bytes((len(octets) + 1, count)) + octets


_LONG = struct.Struct(">q")
_ENQUEUED = encode(Symbol("x-opt-enqueued-time")) + b"\x83"
_SEQUENCE = encode(Symbol("x-opt-sequence-number")) + b"\x81"
_LOCKED = encode(Symbol("x-opt-locked-until")) + b"\x83"
_ACTIVE = encode(Symbol("x-opt-message-state")) + encode(Int(0))


def _application_properties(encoded: bytes, span: tuple[int, int, int] | None, delivery: Delivery) -> bytes:
    original = decode(encoded, span[1])[0] if span else {}
    merged = {**original, **delivery.set_properties} if isinstance(original, dict) else dict(delivery.set_properties)
    return b"\x00\x53\x74" + encode(merged)
