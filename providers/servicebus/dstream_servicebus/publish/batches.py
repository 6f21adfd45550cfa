"""Splits messages into sends. Pure.

A send is one transfer: the service stores all of it or nothing. The service limits a send's bytes (256 KB on Standard,
1 MB on Premium, even if single messages may be larger) and its messages (Microsoft: "Service Bus quotas", "Large
messages support").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dstream_servicebus.publish.message import Message

MEMBER_BYTES = 8
"""Overhead per message in a batch: the header of its data section."""

MAX_BYTES = 1024 * 1024
"""Limit of a batch on Premium, also if the link announces more: then its limit is that of single messages."""

MIN_BYTES = 32 * 1024
"""Minimum limit for a slow link: smaller sends do not help."""


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """The limits that the service announced for one entity, in bytes."""

    max_batch_bytes: int
    max_message_bytes: int
    """Maximum size of a message sent alone: more than a batch's on Premium with large messages."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Maximum size of a send."""

    max_bytes: int
    max_messages: int

    def at_most(self, max_messages: int) -> Cut:
        """Return this size with no more than so many messages."""
        return Cut(self.max_bytes, min(self.max_messages, max_messages))

    def scaled(self, share: float) -> Cut:
        """Return a fraction of this size, for a slow link."""
        return Cut(
            max(min(MIN_BYTES, self.max_bytes), int(self.max_bytes * share)), max(1, int(self.max_messages * share))
        )


def envelope_bytes(first: Message) -> int:
    """Upper bound for the SDK's overhead per batch: the first message's id, session and partition key."""
    head = first.encoder.head
    return 100 + 4 * (len(first.message_id) + len(head.session_id or "") + len(head.partition_key or ""))


def fitting(messages: Iterable[Message], cut: Cut) -> list[Message]:
    """Return the leading messages that fit into one send; at least one, if any, regardless of its size."""
    chosen: list[Message] = []
    room = cut.max_bytes
    for message in _at_most(messages, cut.max_messages):
        if not chosen:
            room -= envelope_bytes(message)
        room -= message.size + MEMBER_BYTES
        if room < 0 and chosen:
            break
        chosen.append(message)
    return chosen


def way(message: Message, limits: LinkLimits) -> Literal["batch", "single", "oversize"]:
    """Return how a message can be sent."""
    if message.size + MEMBER_BYTES + envelope_bytes(message) <= limits.max_batch_bytes:
        return "batch"
    return "single" if message.size <= limits.max_message_bytes else "oversize"


def _at_most(messages: Iterable[Message], count: int) -> Iterator[Message]:
    for _, message in zip(range(count), messages, strict=False):
        yield message
