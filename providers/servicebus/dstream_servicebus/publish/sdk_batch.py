"""Adds messages to the SDK's batch object, by one of two paths that send the same bytes.

The public path creates a ServiceBusMessage for each and calls `add_message`. The fast path puts the bytes of
`encoder.py` into the list that the SDK sends, which is private (`ServiceBusMessageBatch._message[5]`, azure-servicebus
7.15). It is used only after both paths have encoded samples to the same bytes in this process.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from typing import Protocol, Self

from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
from azure.servicebus.exceptions import MessageSizeExceededError

from dstream_servicebus.publish.encoder import Encoder, Head, data_section
from dstream_servicebus.publish.message import Message
from dstream_servicebus.settings.timing import DeliveryTime


class FillBatch(Protocol):
    """Adds messages to an empty batch, in order; returns how many fit. All share a session and partition key."""

    def __call__(self, batch: ServiceBusMessageBatch, messages: Sequence[Message]) -> int: ...


def choose_fill(max_bytes: int = 256 * 1024) -> tuple[FillBatch, str]:
    """Return the fast path if it sends the same bytes as the public one, or else the public one and the reason."""
    try:
        difference = _first_difference(max_bytes)
    except Exception as error:  # noqa: BLE001  # any error means that the fast path does not fit this SDK
        difference = f"{type(error).__name__}: {error}"
    return (fill_fast, "") if not difference else (fill_public, difference)


def fill_public(batch: ServiceBusMessageBatch, messages: Sequence[Message]) -> int:
    """Fill the batch as the SDK's documentation does."""
    for taken, message in enumerate(messages):
        try:
            batch.add_message(to_sdk_message(message))
        except MessageSizeExceededError:
            if taken == 0:
                raise
            return taken
    return len(messages)


def fill_fast(batch: ServiceBusMessageBatch, messages: Sequence[Message]) -> int:
    """Fill the batch directly. The caller has limited `messages` to its size."""
    now_s = int(time.time())
    parts: list[bytes] = []
    for message in messages:
        encoder = message.encoder
        parts.append(data_section(message.size))
        parts += encoder.parts(
            message.message_id.encode(), message.body, now_s if encoder.is_timed else 0, message.traceparent
        )
    first = messages[0]
    batch._message[5].append(_Sections.of(parts[1:], first.size))
    batch._count = len(messages)
    batch._size = sum(message.size for message in messages) + 8 * len(messages)
    head = first.encoder.head
    batch._amqp_transport.set_batch_envelope_properties(
        batch._message, first.message_id, head.session_id, head.partition_key
    )
    return len(messages)


class _Sections(bytes):
    """The data sections of a batch, one per message, without the header of the first section.

    The SDK encodes each message of a batch by itself, with a dozen calls. Of this one, it writes the header, for which
    it calls `len`, and then all bytes (`encode_binary` in its _pyamqp/_encode.py).
    """

    first_length: int

    @classmethod
    def of(cls, parts: Sequence[bytes], first_length: int) -> Self:
        sections = cls(b"".join(parts))
        sections.first_length = first_length
        return sections

    def __len__(self) -> int:
        return self.first_length


def to_sdk_message(message: Message) -> ServiceBusMessage:
    head = message.encoder.head
    scheduled_ms = head.scheduled_ms(int(time.time()))
    made = ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        content_type=head.content_type,
        session_id=head.session_id,
        partition_key=head.partition_key,
        subject=head.subject,
        application_properties=dict(head.traced(message.traceparent)) or None,
        time_to_live=datetime.timedelta(seconds=head.ttl_s) if head.ttl_s else None,
        scheduled_enqueue_time_utc=None if scheduled_ms is None else _utc(scheduled_ms),
    )
    properties = made.raw_amqp_message.properties
    if head.content_encoding and properties:
        properties.content_encoding = head.content_encoding
    return made


def _utc(moment_ms: int) -> datetime.datetime:
    """Exact, unlike `fromtimestamp` with a fraction."""
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=moment_ms)


def _first_difference(max_bytes: int) -> str:
    """Return the difference between the two paths for the samples; empty if there is none."""
    for head in _SAMPLES:
        messages = [
            Message.of(Encoder(head), f"id-{size}", b"x" * size, traceparent=context)
            for size in (0, 1, 255, 256, 5000)
            for context in ("", _TRACEPARENT)
        ]
        fast, public = ServiceBusMessageBatch(max_bytes), ServiceBusMessageBatch(max_bytes)
        fill_fast(fast, messages)
        fill_public(public, messages)
        if len(fast) != len(public):
            return f"the SDK counts {len(fast)} of {len(public)} messages"
        if _sent(fast) != _sent(public):
            return f"the SDK encodes {head} differently"
    return ""


def _sent(batch: ServiceBusMessageBatch) -> bytearray:
    """Return the bytes that the SDK sends for a batch."""
    from azure.servicebus._pyamqp._encode import encode_payload
    from azure.servicebus._pyamqp.message import BatchMessage

    sent = bytearray()
    encode_payload(sent, BatchMessage(*batch._message))
    return sent


_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_SAMPLES = (
    Head("application/json"),
    Head("application/json", session_id="s", partition_key="s", subject="dbo.Cars", properties=(("a", "1"), ("b", ""))),
    Head("application/json", content_encoding="gzip"),
    Head("application/json", partition_key="p", scheduled=DeliveryTime(at_ms=1_700_000_000_123)),
    Head("application/json", subject="é" * 200, properties=tuple((f"p{n}", "v" * 40) for n in range(20))),
)
