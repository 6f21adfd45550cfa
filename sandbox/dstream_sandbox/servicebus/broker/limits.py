"""The limits of a namespace's tier (Microsoft, "Service Bus quotas")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dstream_sandbox.servicebus.core import AmqpError, Message

__all__ = ["LIMITS", "Limits", "Profile", "check_size"]

Profile = Literal["standard", "premium"]


@dataclass(frozen=True, slots=True)
class Limits:
    max_message_size: int
    """Maximum size of a message, unless the entity's is smaller."""
    default_message_size_kb: int | None
    """Default MaxMessageSizeInKilobytes of a new entity; None for Standard, which does not have this property."""
    max_batch_size: int
    max_batch_count: int
    max_entity_size_mb: int


LIMITS: dict[Profile, Limits] = {
    "standard": Limits(256 * 1024, None, 256 * 1024, 4500, 5 * 1024),
    "premium": Limits(100 * 1024 * 1024, 1024, 1024 * 1024, 4500, 80 * 1024),
}


def check_size(limits: Limits, messages: Sequence[Message], entity_max_kb: int | None) -> int:
    """Return the total octets of the messages. Raises AmqpError amqp:link:message-size-exceeded."""
    largest_allowed = entity_max_kb * 1024 if entity_max_kb else limits.max_message_size
    sizes = [len(m.encoded) for m in messages]
    total = sum(sizes)
    allowed = largest_allowed if len(messages) == 1 else limits.max_batch_size
    if total > allowed:
        raise AmqpError(
            "amqp:link:message-size-exceeded",
            f"The received message (delivery-id:0, size:{total} bytes) exceeds the limit ({allowed} bytes)"
            " currently allowed on the link.",
        )
    if len(messages) > limits.max_batch_count:
        raise AmqpError(
            "amqp:link:message-size-exceeded",
            f"The batch holds {len(messages)} messages; the limit is {limits.max_batch_count}.",
        )
    return total
