"""Rewrites a message with the properties set by a rule's action. Everything else keeps its octets."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.servicebus.amqp.decode import decode
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.sections import Section, scan
from dstream_sandbox.servicebus.core import Message
from dstream_sandbox.servicebus.nodes.intake import parse_message

__all__ = ["rewritten"]

_FIELDS = (
    "message-id",
    "user-id",
    "to",
    "subject",
    "reply-to",
    "correlation-id",
    "content-type",
    "content-encoding",
    "absolute-expiry-time",
    "creation-time",
    "group-id",
    "group-sequence",
    "reply-to-group-id",
)
"""The fields of the properties section, in order (OASIS AMQP 1.0, part 3, section 3.2.4)."""


def rewritten(message: Message, system: Mapping[str, object], user: Mapping[str, object]) -> Message:
    """Return the changed message. `system`: the AMQP properties to change (None clears one); `user`: all application
    properties."""
    encoded = message.encoded
    sections = scan(encoded)
    fields: list[object] = [None] * len(_FIELDS)
    if sections.properties:
        known = decode(encoded, sections.properties[1])[0]
        for n, value in enumerate(known if isinstance(known, list) else ()):
            fields[n] = value
    for name, value in system.items():
        fields[_FIELDS.index(name)] = value
    before = sections.properties or sections.application_properties or sections.body
    head = encoded[: before[0]] if before else encoded
    body = encoded[sections.body[0] :] if sections.body else b""
    properties = encode_composite(Section.PROPERTIES, fields)
    application = b"\x00\x53\x74" + encode(dict(user)) if user else b""
    changed = parse_message(head + properties + application + body)
    changed.ttl_s, changed.scheduled_at = message.ttl_s, message.scheduled_at
    return changed
