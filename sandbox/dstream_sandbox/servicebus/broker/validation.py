"""The service's checks on names and values of entities.

Sources: Microsoft, "Service Bus quotas"; "Naming rules and restrictions for Azure resources" (Microsoft.ServiceBus);
ARM reference of Microsoft.ServiceBus/namespaces/queues, topics, subscriptions; REST reference "Queue Description".
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TypeVar

from dstream_sandbox.servicebus.broker.descriptions import (
    CorrelationFilter,
    QueueDescription,
    RuleDescription,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.broker.errors import EntityInvalid
from dstream_sandbox.servicebus.broker.limits import Limits

__all__ = [
    "check_change",
    "check_entity_name",
    "check_part_name",
    "check_queue",
    "check_rule",
    "check_subscription",
    "check_topic",
]

_MAX_ENTITY_NAME, _MAX_PART_NAME = 260, 50
_ENTITY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/~-]*[A-Za-z0-9_])?\Z|[A-Za-z0-9]\Z")
_PART_NAME = re.compile(r"[A-Za-z0-9$_](?:[A-Za-z0-9._~-]*[A-Za-z0-9_-])?\Z")

_FIXED: dict[str, str] = {
    "requires_session": "RequiresSession",
    "requires_duplicate_detection": "RequiresDuplicateDetection",
    "enable_partitioning": "EnablePartitioning",
}

_Description = TypeVar("_Description", QueueDescription, TopicDescription, SubscriptionDescription)


def check_entity_name(name: str) -> None:
    _require(
        0 < len(name) <= _MAX_ENTITY_NAME,
        f"The entity path/name '{name}' must be 1 to {_MAX_ENTITY_NAME} characters long.",
    )
    _require(
        bool(_ENTITY_NAME.match(name)),
        f"'{name}' contains character(s) that is not allowed by Service Bus. Entity segments can contain only letters,"
        " numbers, periods (.), hyphens (-), and underscores (_).",
    )
    _require(
        not re.search(r"(?i)(^|/)(subscriptions|rules|\$\w+)(/|$)", name),
        f"The entity name '{name}' contains a reserved segment.",
    )


def check_part_name(kind: str, name: str) -> None:
    """Check the name of a subscription or rule."""
    _require(
        0 < len(name) <= _MAX_PART_NAME, f"The {kind} name '{name}' must be 1 to {_MAX_PART_NAME} characters long."
    )
    _require(
        bool(_PART_NAME.match(name)),
        f"'{name}' contains character(s) that is not allowed by Service Bus. Entity segments can contain only letters,"
        " numbers, periods (.), hyphens (-), and underscores (_).",
    )


def check_queue(description: QueueDescription, limits: Limits) -> None:
    _check_shared(description)
    _check_sized(description, limits)
    _check_delivery(description)


def check_topic(description: TopicDescription, limits: Limits) -> None:
    _check_shared(description)
    _check_sized(description, limits)


def check_subscription(description: SubscriptionDescription) -> None:
    _check_shared(description)
    _check_delivery(description)


def check_rule(rule: RuleDescription) -> None:
    check_part_name("rule", rule.name)
    if isinstance(rule.filter, CorrelationFilter):
        named = [getattr(rule.filter, f.name) for f in fields(rule.filter)]
        _require(
            any(v not in (None, {}) for v in named),
            "At least one system or user property must be set in the CorrelationFilter.",
        )


def check_change(kind: str, old: _Description, new: _Description) -> None:
    """Refuse changes of properties that are fixed at creation."""
    for name, shown in _FIXED.items():
        if getattr(old, name, None) != getattr(new, name, None):
            raise EntityInvalid(
                f"SubCode=40000. The value for the {shown} property of an existing {kind} cannot be changed."
            )


def _check_shared(d: QueueDescription | TopicDescription | SubscriptionDescription) -> None:
    _range("DefaultMessageTimeToLive", d.default_ttl_s, 1, None, "1 second", "TimeSpan.MaxValue")
    _range("AutoDeleteOnIdle", d.auto_delete_on_idle_s, 300, None, "5 minutes", "TimeSpan.MaxValue")
    _require(len(d.user_metadata or "") <= 1024, "The UserMetadata property must be at most 1024 characters long.")
    _require(
        d.status in ("Active", "Disabled", "SendDisabled", "ReceiveDisabled"),
        f"The entity status '{d.status}' can't be set.",
    )


def _check_sized(d: QueueDescription | TopicDescription, limits: Limits) -> None:
    _range("DuplicateDetectionHistoryTimeWindow", d.duplicate_window_s, 20, 7 * 86400, "20 seconds", "7 days")
    _require(
        1024 <= d.max_size_mb <= limits.max_entity_size_mb and d.max_size_mb % 1024 == 0,
        f"The specified value '{d.max_size_mb}' of MaxSizeInMegabytes is invalid;"
        f" it must be a multiple of 1024 and at most {limits.max_entity_size_mb}.",
    )
    _require(len(d.authorization_rules) <= 12, "An entity can have at most 12 authorization rules.")
    if limits.default_message_size_kb is None:
        _require(
            d.max_message_size_kb is None or d.max_message_size_kb <= limits.max_message_size // 1024,
            "The property MaxMessageSizeInKilobytes can be set only on entities of a Premium namespace.",
        )
        return
    _require(not d.enable_partitioning, "Partitioned entities are not supported in this Premium namespace.")
    _require(not d.enable_express, "Express entities are not supported in a Premium namespace.")
    if d.max_message_size_kb is not None:
        top = limits.max_message_size // 1024
        _range("MaxMessageSizeInKilobytes", d.max_message_size_kb, 1024, top, "1024", str(top))


def _check_delivery(d: QueueDescription | SubscriptionDescription) -> None:
    _range("LockDuration", d.lock_duration_s, 5, 300, "5 seconds", "5 minutes")
    _range("MaxDeliveryCount", d.max_delivery_count, 1, 2000, "1", "2000")
    _require(
        not (d.requires_session and d.forward_to),
        "Auto-forwarding is not supported from an entity that requires sessions.",
    )


def _range(name: str, value: float, low: float, high: float | None, low_text: str, high_text: str) -> None:
    _require(
        value >= low and (high is None or value <= high),
        f"The specified value of {name} is out of range: it must be between {low_text} and {high_text}.",
    )


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise EntityInvalid(f"SubCode=40000. {text}")
