"""Converts a transfer's octets to `core.Message` values: only what the broker needs is parsed."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from uuid import uuid4

from dstream_sandbox.servicebus.amqp.decode import decode, decode_at, skip
from dstream_sandbox.servicebus.amqp.encode import encode, encode_composite
from dstream_sandbox.servicebus.amqp.sections import BATCH_FORMAT, Section, Sections, data_bodies, scan
from dstream_sandbox.servicebus.amqp.values import MalformedValue, Timestamp
from dstream_sandbox.servicebus.core import AmqpError, Message

__all__ = ["parse_message", "parse_transfer"]

_GROUP_ID = 10
_ABSOLUTE_EXPIRY_TIME, _CREATION_TIME = 8, 9
_PROPERTY_NAMES = (
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
_NULL, _STRING8 = 0x40, 0xA1
_SHORT_TEXT = frozenset((0xA0, 0xA1, 0xA3))
_MAX_PROPERTY, _MAX_HEADER = 32 * 1024, 64 * 1024
"""Maximum octets of one property, and of all sections before the body (Microsoft, "Service Bus quotas")."""
_MAX_ID = 128
"""Maximum characters of message id, session id and partition key (Microsoft, "Service Bus quotas"). The service runs on
.NET, which counts UTF-16 code units; that it counts them here is inferred, as are the condition and text."""
_UINT = struct.Struct(">I")


def parse_transfer(message_format: int, payload: bytes) -> list[Message]:
    """Return the messages of one delivery. Raises AmqpError for invalid messages and too large properties."""
    try:
        if message_format != BATCH_FORMAT:
            return [parse_message(payload)]
        envelope = scan(payload)
        if envelope.body is None or envelope.body_code != Section.DATA:
            # The service's wording (Azure/azure-sdk-for-python #38260).
            raise AmqpError("amqp:not-allowed", "The service received a batch message with no data in it.")
        return [parse_message(body) for body in data_bodies(payload, envelope.body[0])]
    except (MalformedValue, IndexError, KeyError, TypeError, ValueError, RecursionError, struct.error) as exc:
        raise AmqpError("amqp:decode-error", str(exc)) from exc


def parse_message(encoded: bytes) -> Message:
    """Parse a message. Raises MalformedValue or, for truncated values, the error of the access beyond the end;
    AmqpError for too large properties."""
    sections = scan(encoded)
    if (sections.body[0] if sections.body else len(encoded)) > _MAX_PROPERTY:
        _check_header(encoded, sections)
    message_id, session_id, expires_after_s = _from_properties(encoded, sections)
    partition_key, scheduled_at = _from_annotations(encoded, sections)
    for name, text in (("MessageId", message_id), ("SessionId", session_id), ("PartitionKey", partition_key)):
        if text is not None and len(text) > _MAX_ID // 2 and len(text.encode("utf-16-le")) > 2 * _MAX_ID:
            raise AmqpError("com.microsoft:argument-error", f"{name} has more than {_MAX_ID} characters.")
    if message_id is None:
        # The service adds a missing message id; @azure/service-bus cannot settle the message without one.
        message_id = uuid4().hex
        encoded = _with_message_id(encoded, sections, message_id)
    ttl_s = _ttl(encoded, sections)
    lazy = _Lazy(encoded)
    return Message(
        encoded,
        message_id,
        session_id,
        partition_key,
        expires_after_s if ttl_s is None else ttl_s,
        scheduled_at,
        lazy.application_properties,
        lazy.properties,
    )


def _check_header(encoded: bytes, sections: Sections) -> None:
    """Raise AmqpError for properties that exceed the quotas. The texts are the service's (rebus-org/
    Rebus.AzureServiceBus #35, Azure/azure-sdk-for-net #15325); the second condition is inferred from its text."""
    size = sections.body[0] if sections.body else len(encoded)
    if size > _MAX_HEADER:
        raise AmqpError(
            "amqp:link:message-size-exceeded",
            "A serialization error occurred while processing the message header stream. The serialization process"
            f" return the following message: The size quota for this stream ({_MAX_HEADER}) has been exceeded.",
        )
    for value in _Lazy(encoded).application_properties().values():
        if isinstance(value, str) and len(value.encode()) > _MAX_PROPERTY:
            raise AmqpError(
                "amqp:internal-error", "The service was unable to process the request; please retry the operation."
            )


class _Lazy:
    """Decodes properties when a filter needs them."""

    __slots__ = ("_encoded",)

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def application_properties(self) -> Mapping[str, object]:
        span = scan(self._encoded).application_properties
        value = decode(self._encoded, span[1])[0] if span else None
        return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}

    def properties(self) -> Mapping[str, object]:
        span = scan(self._encoded).properties
        value = decode(self._encoded, span[1])[0] if span else None
        if not isinstance(value, list):
            return {}
        return {name: item for name, item in zip(_PROPERTY_NAMES, value, strict=False) if item is not None}


def _from_properties(encoded: bytes, sections: Sections) -> tuple[str | None, str | None, float | None]:
    """The message id, the session id, and the seconds until the absolute expiry time."""
    if sections.properties is None:
        return None, None, None
    pos, count = _list_start(encoded, sections.properties[1])
    if count == 0:
        return None, None, None
    message_id, pos = _value_at(encoded, pos)
    if count <= _ABSOLUTE_EXPIRY_TIME:
        return _text(message_id), None, None
    for _ in range(1, _ABSOLUTE_EXPIRY_TIME):
        constructor = encoded[pos]
        if constructor == _NULL:
            pos += 1
        elif constructor in _SHORT_TEXT:
            pos += 2 + encoded[pos + 1]
        else:
            pos = skip(encoded, pos)
    expiry, pos = _value_at(encoded, pos)
    creation, pos = _value_at(encoded, pos) if count > _CREATION_TIME else (None, pos)
    group_id = _value_at(encoded, pos)[0] if count > _GROUP_ID else None
    life = None
    if isinstance(expiry, Timestamp) and isinstance(creation, Timestamp):
        life = max(0, expiry - creation) / 1000
    return _text(message_id), _text(group_id), life


def _value_at(encoded: bytes, pos: int) -> tuple[object, int]:
    """Like `decode_at`, but reads the two most common encodings of ids in place, since every message needs it."""
    constructor = encoded[pos]
    if constructor == _NULL:
        return None, pos + 1
    if constructor == _STRING8:
        end = pos + 2 + encoded[pos + 1]
        return encoded[pos + 2 : end].decode(), end
    return decode_at(encoded, pos)


def _from_annotations(encoded: bytes, sections: Sections) -> tuple[str | None, float | None]:
    if sections.message_annotations is None:
        return None, None
    annotations = decode(encoded, sections.message_annotations[1])[0]
    if not isinstance(annotations, dict):
        raise MalformedValue("message annotations must be a map")
    scheduled = annotations.get("x-opt-scheduled-enqueue-time")
    return (
        _text(annotations.get("x-opt-partition-key")),
        scheduled / 1000 if isinstance(scheduled, Timestamp) else None,
    )


def _ttl(encoded: bytes, sections: Sections) -> float | None:
    if sections.header is None:
        return None
    fields = decode(encoded, sections.header[1])[0]
    ttl_ms = fields[2] if isinstance(fields, list) and len(fields) > 2 else None
    return ttl_ms / 1000 if isinstance(ttl_ms, int) else None


def _list_start(encoded: bytes, pos: int) -> tuple[int, int]:
    """The offset of a list's first element, and the number of elements."""
    code = encoded[pos]
    if code == 0xC0:
        return pos + 3, encoded[pos + 2]
    if code == 0xD0:
        return pos + 9, _UINT.unpack_from(encoded, pos + 5)[0]
    if code == 0x45:
        return pos + 1, 0
    raise MalformedValue("message properties must be a list")


def _text(value: object) -> str | None:
    """Convert an id to text: ids can be strings, UUIDs, numbers or octets, but the broker compares text."""
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def _with_message_id(encoded: bytes, sections: Sections, message_id: str) -> bytes:
    span = sections.properties
    if span is None:
        at = sections.application_properties or sections.body
        start = at[0] if at else len(encoded)
        return encoded[:start] + encode_composite(Section.PROPERTIES, [message_id]) + encoded[start:]
    fields = decode(encoded, span[1])[0]
    rest = fields[1:] if isinstance(fields, list) else []
    return encoded[: span[0]] + b"\x00\x53\x73" + encode([message_id, *rest]) + encoded[span[2] :]
