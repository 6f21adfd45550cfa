"""A spec's settings as inputs of `azure-native:servicebus:*` 3.29 (API version 2026-01-01). Pure.

The `dstream:servicebus:*` resources of mode `entities` have the same inputs. Each table maps the fields of one kind of
resource; those of queues, topics and subscriptions come from `properties.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from dstream_stacks.properties import EntityProperty, EntityType, properties_of
from dstream_stacks.spec import (
    CustomerManagedKey,
    Namespace,
    NetworkRules,
    PrivateEndpoint,
    Queue,
    Rule,
    Subscription,
    Topic,
)

_CAPITAL = re.compile(r"[A-Z]")


def iso_duration(seconds: float) -> str:
    """Format as ISO 8601 as Azure does, to avoid apparent drift: 600 -> `PT10M`, 129600 -> `P1DT12H`."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    date = f"{days}D" if days else ""
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    parts.append(f"{milliseconds / 1000:g}S" if milliseconds else "")
    time = "".join(parts) or ("" if date else "0S")
    return f"P{date}T{time}" if time else f"P{date}"


class Input(NamedTuple):
    """A setting's name in Azure, and the conversion of its value."""

    name: str
    write: Callable[[Any], Any] = lambda value: value


def _inputs_of(kind: EntityType) -> dict[str, Input]:
    return {each.field: _input(each) for each in properties_of(kind)}


def _input(each: EntityProperty) -> Input:
    return Input(each.azure, iso_duration) if each.form == "duration" else Input(each.azure)


def _encryption(key: CustomerManagedKey) -> dict[str, Any]:
    properties = {
        "keyName": key.name,
        "keyVaultUri": key.vault,
        **({"keyVersion": key.version} if key.version else {}),
        "identity": {"userAssignedIdentity": key.identity},
    }
    return {"keySource": "Microsoft.KeyVault", "keyVaultProperties": [properties]}


QUEUE = _inputs_of("queue")
TOPIC = _inputs_of("topic")
SUBSCRIPTION = _inputs_of("subscription")
NAMESPACE = {
    "premium_messaging_partitions": Input("premiumMessagingPartitions"),
    "zone_redundant": Input("zoneRedundant"),
    "minimum_tls_version": Input("minimumTlsVersion"),
    "disable_local_auth": Input("disableLocalAuth"),
    "public_network_access": Input("publicNetworkAccess"),
    "customer_managed_key": Input("encryption", _encryption),
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
    return {**queue.defaults, **_written(queue, QUEUE)}


def topic_inputs(topic: Topic) -> dict[str, Any]:
    return {**topic.defaults, **_written(topic, TOPIC)}


def subscription_inputs(subscription: Subscription) -> dict[str, Any]:
    return {**subscription.defaults, **_written(subscription, SUBSCRIPTION)}


def namespace_inputs(namespace: Namespace) -> dict[str, Any]:
    """Return the inputs, including the sku (default: Standard), without the name, location and tags."""
    tier = namespace.tier or "Standard"
    sku = {"name": tier, "tier": tier}
    inputs: dict[str, Any] = {"sku": sku, **_written(namespace, NAMESPACE)}
    if namespace.capacity is not None:
        inputs["sku"] = {**sku, "capacity": namespace.capacity}
    if (
        namespace.customer_managed_key is not None
    ):  # Microsoft: "Configure customer-managed keys", user-assigned identity
        identities = [namespace.customer_managed_key.identity]
        inputs["identity"] = {"type": "UserAssigned", "userAssignedIdentities": identities}
    return inputs


def network_rule_inputs(rules: NetworkRules, access: str | None) -> dict[str, Any]:
    """Return the inputs. `access`: the namespace's public network access, which is the same setting as the rule set's:
    if absent, Azure keeps the namespace's (pulumi-azure-native, pull request 4832). All others are always sent, because
    a PUT replaces the whole rule set.
    """
    inputs: dict[str, Any] = {
        "defaultAction": "Deny" if rules.ip_rules or rules.subnets else "Allow",
        "ipRules": [{"action": "Allow", "ipMask": each} for each in rules.ip_rules],
        "virtualNetworkRules": [
            {"ignoreMissingVnetServiceEndpoint": False, "subnet": {"id": each}} for each in rules.subnets
        ],
        "trustedServiceAccessEnabled": rules.trusted_services,
    }
    if access in ("Enabled", "Disabled"):  # a rule set has no SecuredByPerimeter
        inputs["publicNetworkAccess"] = access
    return inputs


def private_endpoint_inputs(endpoint: PrivateEndpoint, location: str, namespace_id: Any) -> dict[str, Any]:
    """Return the inputs, without the group and the name (Microsoft: "Allow access to Azure Service Bus namespaces via
    private endpoints": the sub-resource is `namespace`).
    """
    connection = {"name": endpoint.name, "groupIds": ["namespace"], "privateLinkServiceId": namespace_id}
    return {
        "location": endpoint.location or location,
        "subnet": {"id": endpoint.subnet},
        "privateLinkServiceConnections": [connection],
    }


def dns_zone_inputs(endpoint: PrivateEndpoint) -> dict[str, Any]:
    """Return the inputs of its private DNS zone group."""
    zone = {"name": endpoint.dns_zone.rpartition("/")[2].replace(".", "-"), "privateDnsZoneId": endpoint.dns_zone}
    return {"privateDnsZoneConfigs": [zone]}


def rule_inputs(rule: Rule) -> dict[str, Any]:
    """Return the inputs without the name, and without the filterType that only Azure Resource Manager needs."""
    inputs: dict[str, Any] = {}
    if rule.correlation is not None:
        inputs["correlationFilter"] = _written(rule.correlation, CORRELATION_FILTER)
    elif rule.sql is not None:
        inputs["sqlFilter"] = {"sqlExpression": rule.sql}
    if rule.action is not None:
        inputs["action"] = {"sqlExpression": rule.action}
    return inputs


def snake_case(name: str) -> str:
    """The Python name of an input: `maxDeliveryCount` -> `max_delivery_count`."""
    return _CAPITAL.sub(lambda match: f"_{match[0].lower()}", name)


def _written(value: object, table: dict[str, Input]) -> dict[str, Any]:
    """The fields that are set, by their names in Azure."""
    set_ = {field: given for field in table if (given := getattr(value, field)) not in (None, {})}
    return {table[field].name: table[field].write(given) for field, given in set_.items()}
