"""The elements of entity descriptions, in the order that the service writes and expects.

Sources: REST reference "Queue Description", "Topic Description", "Subscription Description"; order and prefixes as
Microsoft's SDKs send and parse them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeVar
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from dstream_sandbox.servicebus.admin.authorization_rules import read_authorization_rules, write_authorization_rules
from dstream_sandbox.servicebus.admin.durations import format_duration, parse_duration
from dstream_sandbox.servicebus.admin.names import SB, entity_path
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, SubscriptionDescription, TopicDescription
from dstream_sandbox.servicebus.broker.errors import EntityInvalid

__all__ = ["QUEUE", "SUBSCRIPTION", "TOPIC", "read_description", "write_description"]

Kind = Literal["duration", "integer", "boolean", "text", "entity", "rules", "runtime"]
_Description = TypeVar("_Description", QueueDescription, TopicDescription, SubscriptionDescription)


@dataclass(frozen=True, slots=True)
class Field:
    tag: str
    kind: Kind
    attribute: str = ""
    """The attribute of the description; empty if only the running entity knows the value."""


def _runtime(tag: str) -> Field:
    return Field(tag, "runtime")


_LOCK = Field("LockDuration", "duration", "lock_duration_s")
_SIZE = Field("MaxSizeInMegabytes", "integer", "max_size_mb")
_DUPLICATES = Field("RequiresDuplicateDetection", "boolean", "requires_duplicate_detection")
_SESSION = Field("RequiresSession", "boolean", "requires_session")
_TTL = Field("DefaultMessageTimeToLive", "duration", "default_ttl_s")
_EXPIRED = Field("DeadLetteringOnMessageExpiration", "boolean", "dead_letter_on_expiration")
_WINDOW = Field("DuplicateDetectionHistoryTimeWindow", "duration", "duplicate_window_s")
_DELIVERIES = Field("MaxDeliveryCount", "integer", "max_delivery_count")
_BATCHED = Field("EnableBatchedOperations", "boolean", "enable_batched_operations")
_ANONYMOUS = Field("IsAnonymousAccessible", "boolean", "is_anonymous_accessible")
_RULES = Field("AuthorizationRules", "rules", "authorization_rules")
_STATUS = Field("Status", "text", "status")
_ORDERING = Field("SupportOrdering", "boolean", "support_ordering")
_IDLE = Field("AutoDeleteOnIdle", "duration", "auto_delete_on_idle_s")
_PARTITIONING = Field("EnablePartitioning", "boolean", "enable_partitioning")
_EXPRESS = Field("EnableExpress", "boolean", "enable_express")
_FORWARD = Field("ForwardTo", "entity", "forward_to")
_FORWARD_DEAD = Field("ForwardDeadLetteredMessagesTo", "entity", "forward_dead_letters_to")
_METADATA = Field("UserMetadata", "text", "user_metadata")
_MESSAGE_SIZE = Field("MaxMessageSizeInKilobytes", "integer", "max_message_size_kb")
_TIMES = (_runtime("CreatedAt"), _runtime("UpdatedAt"), _runtime("AccessedAt"))
_COUNTS, _AVAILABILITY = _runtime("CountDetails"), _runtime("EntityAvailabilityStatus")

QUEUE: tuple[Field, ...] = (
    _LOCK, _SIZE, _DUPLICATES, _SESSION, _TTL, _EXPIRED, _WINDOW, _DELIVERIES, _BATCHED,
    _runtime("SizeInBytes"), _runtime("MessageCount"), _ANONYMOUS, _RULES, _STATUS, *_TIMES, _ORDERING, _COUNTS, _IDLE,
    _PARTITIONING, _AVAILABILITY, _EXPRESS, _FORWARD, _METADATA, _FORWARD_DEAD, _MESSAGE_SIZE,
)  # fmt: skip
TOPIC: tuple[Field, ...] = (
    _TTL, _SIZE, _DUPLICATES, _WINDOW, _BATCHED, _runtime("SizeInBytes"),
    Field("FilteringMessagesBeforePublishing", "boolean", "filter_before_publishing"), _ANONYMOUS, _RULES, _STATUS,
    *_TIMES, _ORDERING, _COUNTS, _runtime("SubscriptionCount"), _IDLE, _PARTITIONING, _AVAILABILITY,
    Field("EnableSubscriptionPartitioning", "boolean", "enable_subscription_partitioning"), _EXPRESS, _METADATA,
    _MESSAGE_SIZE,
)  # fmt: skip
SUBSCRIPTION: tuple[Field, ...] = (
    _LOCK, _SESSION, _TTL, _EXPIRED,
    Field("DeadLetteringOnFilterEvaluationExceptions", "boolean", "dead_letter_on_filter_errors"),
    _runtime("MessageCount"), _DELIVERIES, _BATCHED, _STATUS, _FORWARD, *_TIMES, _COUNTS, _FORWARD_DEAD, _IDLE,
    _AVAILABILITY, _METADATA,
)  # fmt: skip


def read_description(known: tuple[Field, ...], element: Element, start: _Description) -> _Description:
    """Return `start`, updated from the element. Raises EntityInvalid."""
    changes: dict[str, object] = {}
    for field in known:
        child = element.find(f"{{{SB}}}{field.tag}")
        if child is not None and field.attribute:
            changes[field.attribute] = _read(field, child)
    for optional in ("forward_to", "forward_dead_letters_to", "user_metadata"):
        # Clients clear these by omitting them.
        if optional in {f.name for f in fields(start)}:
            changes.setdefault(optional, None)
    return replace(start, **changes)  # type: ignore[arg-type]  # each field's kind is its attribute's type


def write_description(known: tuple[Field, ...], description: object, runtime: Mapping[str, str], host: str) -> str:
    """Return the elements, in order. `runtime` contains XML; elements that it lacks are omitted."""
    out = []
    for field in known:
        if field.attribute:
            out.append(_write(field, getattr(description, field.attribute), host))
        elif field.tag == "CountDetails":
            out.append(runtime.get(field.tag, ""))
        elif field.tag in runtime:
            out.append(f"<{field.tag}>{runtime[field.tag]}</{field.tag}>")
    return "".join(out)


def _read(field: Field, element: Element) -> object:
    text = (element.text or "").strip()
    try:
        if field.kind == "duration":
            return parse_duration(text)
        if field.kind == "integer":
            return int(text)
        if field.kind == "boolean":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if field.kind == "rules":
            return read_authorization_rules(element)
    except (ValueError, KeyError) as exc:
        raise EntityInvalid(f"SubCode=40000. The value '{text}' of {field.tag} is not valid.") from exc
    if field.kind == "entity":
        return entity_path(text) or None
    return (element.text or "") if field.tag == "UserMetadata" else text


def _write(field: Field, value: object, host: str) -> str:
    if field.kind == "rules":
        return write_authorization_rules(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif field.kind == "duration" and isinstance(value, int | float):
        text = format_duration(value)
    elif field.kind == "entity":
        text = escape(f"sb://{host}/{value}")
    else:
        text = escape(str(value))
    return f"<{field.tag}>{text}</{field.tag}>"
