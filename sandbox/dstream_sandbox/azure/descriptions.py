"""Converts properties of queues, topics and subscriptions to and from the broker's descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from dstream_sandbox.azure.errors import bad_request
from dstream_sandbox.azure.resource_types import Property, ResourceType
from dstream_sandbox.azure.values import effective, same, seconds_of
from dstream_sandbox.servicebus.admin.durations import format_duration
from dstream_sandbox.servicebus.admin.names import entity_path
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, SubscriptionDescription, TopicDescription

__all__ = ["check_tier", "described", "settings_of", "tier_defaults"]

_Description = TypeVar("_Description", QueueDescription, TopicDescription, SubscriptionDescription)
_SHOWN = {"Queue": "a Queue", "Topic": "a Topic", "Subscription": "a Subscription"}
_NOT_IN_BASIC = ("requiresSession", "requiresDuplicateDetection", "autoDeleteOnIdle", "forwardTo")
_BASIC_TTL = "P14D"
_STANDARD_MESSAGE_KB, _PREMIUM_MESSAGE_KB = 256, 1024


def tier_defaults(kind: ResourceType, tier: str) -> dict[str, object]:
    """Defaults of a tier that differ from the type's (Microsoft, "Service Bus quotas"; azure-service-bus issue 306)."""
    known = {each.name for each in kind.properties}
    defaults: dict[str, object] = {}
    if "maxMessageSizeInKilobytes" in known and tier == "Premium":
        defaults["maxMessageSizeInKilobytes"] = _PREMIUM_MESSAGE_KB
    if "defaultMessageTimeToLive" in known and tier == "Basic":
        defaults["defaultMessageTimeToLive"] = _BASIC_TTL
    return defaults


def check_tier(kind: ResourceType, inputs: Mapping[str, object], namespace: str, tier: str) -> None:
    """Refuse what the tier does not support. Wording: terraform-provider-azurerm issues 27285 and 28576, MassTransit
    issue 657, azure-service-bus issue 306. Raises AzureError."""
    name = kind.token.rpartition(":")[2]
    if tier != "Premium" and inputs.get("maxMessageSizeInKilobytes") is not None:
        raise bad_request("Bad Request. To know more visit https://aka.ms/sbResourceMgrExceptions.")
    if tier != "Basic":
        return
    if name != "Queue":
        raise bad_request(f"Can not operate on type {name} because the namespace '{namespace}' is using 'Basic' tier.")
    for each in kind.properties:
        if each.name in _NOT_IN_BASIC and not same(each, effective(each, inputs.get(each.name), inputs), each.default):
            shown = each.name[0].upper() + each.name[1:]
            raise bad_request(
                f"The property '{shown}' cannot be set when creating {_SHOWN[name]} because the namespace '{namespace}'"
                " is using 'Basic' tier."
            )
    ttl = inputs.get("defaultMessageTimeToLive")
    if ttl is not None and seconds_of(str(ttl)) > seconds_of(_BASIC_TTL):
        raise bad_request(
            "The property value for 'DefaultMessageTimeToLive' must be between 00:00:01 and 14.00:00:00 when the"
            f" namespace '{namespace}' is using 'Basic' tier."
        )


def described(kind: ResourceType, inputs: Mapping[str, object], start: _Description, tier: str) -> _Description:
    """Return `start` with all properties from the inputs or their defaults."""
    defaults = tier_defaults(kind, tier)
    changes = {
        each.attribute: _to_broker(each, inputs.get(each.name, defaults.get(each.name, each.default)))
        for each in kind.properties
        if each.attribute
    }
    if "max_message_size_kb" in changes and tier != "Premium":
        changes["max_message_size_kb"] = None  # the broker's standard profile has no such property
    return cast("_Description", replace(cast("Any", start), **changes))


def settings_of(kind: ResourceType, description: object) -> dict[str, object]:
    """Return the properties as ARM does, without unset ones."""
    found = {
        each.name: _from_broker(each, getattr(description, each.attribute))
        for each in kind.properties
        if each.attribute
    }
    if "maxMessageSizeInKilobytes" in found and found["maxMessageSizeInKilobytes"] is None:
        found["maxMessageSizeInKilobytes"] = _STANDARD_MESSAGE_KB
    return {name: value for name, value in found.items() if value is not None}


def _to_broker(known: Property, value: Any) -> object:
    if known.kind == "duration":
        return seconds_of(str(value))
    if known.kind in ("integer", "number"):
        return None if value is None else int(value)
    if known.name.startswith("forward"):
        return entity_path(str(value)) if value else None
    if known.name == "userMetadata":
        return value or None
    return value


def _from_broker(known: Property, value: Any) -> object:
    if known.kind == "duration":
        return format_duration(value)
    return value
