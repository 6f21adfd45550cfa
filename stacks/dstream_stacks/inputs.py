"""What Azure calls each setting of a spec, and how it writes the value. Pure.

One table a kind. The names are the inputs of `azure-native:servicebus:*` 3.29 (API version 2026-01-01); the
`dstream:servicebus:*` resources of mode `entities` have the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from dstream_stacks.spec import Namespace, Queue, Rule, Subscription, Topic

_CAPITAL = re.compile(r"[A-Z]")


def iso_duration(seconds: float) -> str:
    """600 -> `PT10M`, 129600 -> `P1DT12H`: ISO 8601 as Azure itself writes it, so that nothing seems to differ."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    date = f"{days}D" if days else ""
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    parts.append(f"{milliseconds / 1000:g}S" if milliseconds else "")
    time = "".join(parts) or ("" if date else "0S")
    return f"P{date}T{time}" if time else f"P{date}"


class Input(NamedTuple):
    """A setting's name in Azure, and how its value is written there."""

    name: str
    write: Callable[[Any], Any] = lambda value: value


_ENTITY = {
    "default_time_to_live_s": Input("defaultMessageTimeToLive", iso_duration),
    "auto_delete_on_idle_s": Input("autoDeleteOnIdle", iso_duration),
    "batched_operations": Input("enableBatchedOperations"),
    "user_metadata": Input("userMetadata"),
}
_PUBLISHED_TO = {
    "duplicate_detection": Input("requiresDuplicateDetection"),
    "duplicate_detection_window_s": Input("duplicateDetectionHistoryTimeWindow", iso_duration),
    "partitioning": Input("enablePartitioning"),
    "max_size_mb": Input("maxSizeInMegabytes"),
    "max_message_size_kb": Input("maxMessageSizeInKilobytes"),
}
_RECEIVED_FROM = {
    "sessions": Input("requiresSession"),
    "lock_duration_s": Input("lockDuration", iso_duration),
    "max_delivery_count": Input("maxDeliveryCount"),
    "dead_letter_expired": Input("deadLetteringOnMessageExpiration"),
    "forward_to": Input("forwardTo"),
    "forward_dead_lettered_to": Input("forwardDeadLetteredMessagesTo"),
}

QUEUE = {**_ENTITY, **_PUBLISHED_TO, **_RECEIVED_FROM}
TOPIC = {**_ENTITY, **_PUBLISHED_TO, "support_ordering": Input("supportOrdering")}
SUBSCRIPTION = {
    **_ENTITY,
    **_RECEIVED_FROM,
    "dead_letter_filter_errors": Input("deadLetteringOnFilterEvaluationExceptions"),
}
NAMESPACE = {
    "premium_messaging_partitions": Input("premiumMessagingPartitions"),
    "zone_redundant": Input("zoneRedundant"),
    "minimum_tls_version": Input("minimumTlsVersion"),
    "disable_local_auth": Input("disableLocalAuth"),
    "public_network_access": Input("publicNetworkAccess"),
}
CORRELATION_FILTER = {
    "correlation_id": Input("correlationId"),
    "message_id": Input("messageId"),
    "to": Input("to"),
    "reply_to": Input("replyTo"),
    "subject": Input("label"),
    "session_id": Input("sessionId"),
    "reply_to_session_id": Input("replyToSessionId"),
    "content_type": Input("contentType"),
    "properties": Input("properties"),
}


def queue_inputs(queue: Queue) -> dict[str, Any]:
    return _written(queue, QUEUE)


def topic_inputs(topic: Topic) -> dict[str, Any]:
    return _written(topic, TOPIC)


def subscription_inputs(subscription: Subscription) -> dict[str, Any]:
    return _written(subscription, SUBSCRIPTION)


def namespace_inputs(namespace: Namespace) -> dict[str, Any]:
    """With its sku, Standard unless told; without its name, location and tags."""
    tier = namespace.tier or "Standard"
    sku = {"name": tier, "tier": tier}
    if namespace.capacity is not None:
        return {"sku": {**sku, "capacity": namespace.capacity}, **_written(namespace, NAMESPACE)}
    return {"sku": sku, **_written(namespace, NAMESPACE)}


def rule_inputs(rule: Rule) -> dict[str, Any]:
    """Without its name, and without the filterType that only Azure Resource Manager wants."""
    inputs: dict[str, Any] = {}
    if rule.correlation is not None:
        inputs["correlationFilter"] = _written(rule.correlation, CORRELATION_FILTER)
    elif rule.sql is not None:
        inputs["sqlFilter"] = {"sqlExpression": rule.sql}
    if rule.action is not None:
        inputs["action"] = {"sqlExpression": rule.action}
    return inputs


def snake_case(name: str) -> str:
    """The same input in Python: `maxDeliveryCount` -> `max_delivery_count`."""
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)


def _written(value: object, table: dict[str, Input]) -> dict[str, Any]:
    """What is set, by Azure's names."""
    set_ = {field: given for field in table if (given := getattr(value, field)) not in (None, {})}
    return {table[field].name: table[field].write(given) for field, given in set_.items()}
