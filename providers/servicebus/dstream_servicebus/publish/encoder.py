"""Encodes AMQP 1.0 messages, byte for byte as azure-servicebus encodes a ServiceBusMessage.

The SDK builds a dict for every field and encodes a message twice to batch it. This encoder writes only the sections
that DStream's messages have, and caches everything but the id and the body per head. Layout: OASIS AMQP 1.0, part 3.2
(sections), part 1.6 (encodings). Does not import azure: `sdk_batch.py` verifies at start that the bytes are equal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dstream_servicebus.settings.timing import DeliveryTime

_NULL = b"\x40"
_HEADER = b"\x00\x53\x70"
_MESSAGE_ANNOTATIONS = b"\x00\x53\x72"
_PROPERTIES = b"\x00\x53\x73"
_APPLICATION_PROPERTIES = b"\x00\x53\x74"
_SMALL_DATA = b"\x00\x53\x75\xa0"
_LARGE_DATA = b"\x00\x53\x75\xb0"

_U32 = struct.Struct(">I").pack
_I64 = struct.Struct(">q").pack

TRACE_PROPERTIES = ("Diagnostic-Id", "traceparent")
"""The application properties in which azure-servicebus writes the trace context of a message (`trace_message` in its
_common/tracing.py), and from which Azure's SDKs and Functions read it. W3C's draft "Trace Context: AMQP protocol" also
has `traceparent`, as an application property that the sender sets.
"""
TRACEPARENT_BYTES = 55
"""Length of a `traceparent` of version 00 (W3C Trace Context, 3.2)."""

_MAX_EXPIRY_MS = 253402243199000
"""Maximum expiry that the SDK writes (its MAX_ABSOLUTE_EXPIRY_TIME, in the last hours of the year 9999)."""


@dataclass(frozen=True, slots=True)
class Head:
    """A message's fields other than its id and body; messages of one table and operation usually share them."""

    content_type: str
    session_id: str | None = None
    partition_key: str | None = None
    subject: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    ttl_s: int | None = None
    """Whole seconds, as the SDK rounds them."""
    scheduled: DeliveryTime | None = None
    content_encoding: str | None = None

    def traced(self, traceparent: str) -> tuple[tuple[str, str], ...]:
        """Return the properties with this trace context, unless it is empty. A property of that name stays."""
        if not traceparent:
            return self.properties
        taken = {name for name, _ in self.properties}
        return (*self.properties, *((name, traceparent) for name in TRACE_PROPERTIES if name not in taken))

    def scheduled_ms(self, now_s: int) -> int | None:
        """When a message that is sent now is to be delivered; Unix time in milliseconds."""
        if self.scheduled is None or self.scheduled.delay_ms is None:
            return self.scheduled.at_ms if self.scheduled else None
        return min(_MAX_EXPIRY_MS, now_s * 1000 + self.scheduled.delay_ms)


class Encoder:
    """Encodes the messages of one head."""

    __slots__ = ("_created_s", "_prefixes", "_sizes", "_traceparent", "_variants", "head", "is_timed")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.is_timed = bool(head.ttl_s) or (head.scheduled is not None and head.scheduled.delay_ms is not None)
        """Whether the bytes depend on when the message is sent."""
        self._prefixes: dict[int, tuple[bytes, bytes]] = {}
        """What surrounds an id of this length, with the time and the trace context of the last message."""
        self._created_s = 0
        self._traceparent = ""
        self._sizes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        """What surrounds an id of this length, in bytes: without and with a trace context."""
        self._variants: dict[tuple[str, str | None], Encoder] = {}

    def variant(self, *, content_type: str | None = None, content_encoding: str | None = None) -> Encoder:
        """Return the encoder of a head that differs in these fields; cached."""
        key = (content_type or self.head.content_type, content_encoding or self.head.content_encoding)
        found = self._variants.get(key)
        if found is None:
            head = replace(self.head, content_type=key[0], content_encoding=key[1])
            found = self._variants[key] = Encoder(head)
        return found

    def encode(self, message_id: bytes, body: bytes, created_s: int = 0, traceparent: str = "") -> bytes:
        """Encode one message. `message_id` in UTF-8; `created_s`: current Unix time, used only if `is_timed`."""
        return b"".join(self.parts(message_id, body, created_s, traceparent))

    def parts(self, message_id: bytes, body: bytes, created_s: int, traceparent: str) -> tuple[bytes, ...]:
        """Encode one message in parts, which saves a copy of its body."""
        if created_s != self._created_s or traceparent != self._traceparent:
            self._created_s, self._traceparent = created_s, traceparent
            self._prefixes.clear()
        around = self._prefixes.get(len(message_id))
        if around is None:
            around = self._prefixes[len(message_id)] = self._around_id(len(message_id), created_s, traceparent)
        return around[0], message_id, around[1], data_section(len(body)), body

    def size(self, id_length: int, body_length: int, *, is_traced: bool = False) -> int:
        """Return the size of the encoded message; all in bytes. `is_traced`: it has a `traceparent`."""
        around = self._sizes[is_traced].get(id_length)
        if around is None:
            traceparent = "0" * TRACEPARENT_BYTES if is_traced else ""
            around = self._sizes[is_traced][id_length] = sum(map(len, self._around_id(id_length, 0, traceparent)))
        return around + id_length + body_length + (8 if body_length > 255 else 5)

    def _around_id(self, id_length: int, created_s: int, traceparent: str) -> tuple[bytes, bytes]:
        """Return the bytes before and after an id of this length, up to the body."""
        head = self.head
        created = expires = _NULL
        if head.ttl_s:
            created_ms = created_s * 1000
            created = b"\x83" + _I64(created_ms)
            expires = b"\x83" + _I64(min(_MAX_EXPIRY_MS, created_ms + head.ttl_s * 1000))
        opening = _length(0xA1, 0xB1, id_length)
        rest = b"".join(
            (
                _NULL,  # user-id
                _NULL,  # to
                _string(head.subject),
                _NULL,  # reply-to
                _NULL,  # correlation-id
                _symbol(head.content_type),
                _symbol(head.content_encoding) if head.content_encoding else _NULL,
                expires,
                created,
                _string(head.session_id),
                _NULL,  # group-sequence
                _NULL,  # reply-to-group-id
            )
        )
        size = len(opening) + id_length + len(rest)
        before = _header(head) + _annotations(head, created_s) + _PROPERTIES + _compound(0xC0, 0xD0, 13, size) + opening
        return before, rest + _application_properties(head.traced(traceparent))


def data_section(size: int) -> bytes:
    """Return the header of a data section with so many bytes."""
    return _LARGE_DATA + _U32(size) if size > 255 else _SMALL_DATA + bytes((size,))


def _header(head: Head) -> bytes:
    if not head.ttl_s:
        return b""
    ttl_ms = head.ttl_s * 1000  # at least 1000, so the uint is in its large form
    fields = _NULL + _NULL + b"\x70" + _U32(ttl_ms) + _NULL + _NULL
    return _HEADER + _compound(0xC0, 0xD0, 5, len(fields)) + fields


def _annotations(head: Head, now_s: int) -> bytes:
    """Service Bus' names of annotations: Microsoft, "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide"."""
    pairs = []
    scheduled_ms = head.scheduled_ms(now_s)
    if scheduled_ms is not None:
        pairs.append((_symbol("x-opt-scheduled-enqueue-time"), b"\x83" + _I64(scheduled_ms)))
    if head.partition_key:
        pairs.append((_symbol("x-opt-partition-key"), _string(head.partition_key)))
    return _MESSAGE_ANNOTATIONS + _map(pairs) if pairs else b""


def _application_properties(properties: tuple[tuple[str, str], ...]) -> bytes:
    if not properties:
        return b""
    return _APPLICATION_PROPERTIES + _map((_string(name), _string(value)) for name, value in properties)


def _map(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    items = list(pairs)
    content = b"".join(key + value for key, value in items)
    return _compound(0xC1, 0xD1, 2 * len(items), len(content)) + content


def _compound(small: int, large: int, count: int, size: int) -> bytes:
    """Header of a list or map; in the small form up to the SDK's limit (one octet below the standard's)."""
    if count <= 255 and size < 255:
        return bytes((small, size + 1, count))
    return bytes((large,)) + _U32(size + 4) + _U32(count)


def _string(text: str | None) -> bytes:
    if text is None:
        return _NULL
    data = text.encode()
    return _length(0xA1, 0xB1, len(data)) + data


def _symbol(text: str) -> bytes:
    data = text.encode()
    return _length(0xA3, 0xB3, len(data)) + data


def _length(small: int, large: int, length: int) -> bytes:
    return bytes((small, length)) if length <= 255 else bytes((large,)) + _U32(length)
