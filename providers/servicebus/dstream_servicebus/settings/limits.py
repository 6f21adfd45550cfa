"""Checks for settings that Service Bus would refuse. Pure; each raises ConfigError with the path of the setting.

Sources: Microsoft, "Service Bus quotas", "Naming rules and restrictions for Azure resources" (Microsoft.ServiceBus,
Microsoft.Resources). Ranges and tiers of entity settings: `dstream_stacks.properties`. In mode `entities` the service
may be an emulator with other ranges, so it checks sizes and times itself.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dstream_stacks.display import accepted, choices_in
from dstream_stacks.properties import PROPERTIES, EntityProperty, EntityType, Form, Tier
from dstream_stacks.spec import Mode, Right

from dstream.sdk.errors import ConfigError
from dstream_servicebus.settings.infrastructure import EntitySettings, SubscriptionSettings

PathOf = Callable[[str], str]
"""The path of a setting in the config."""

MAX_AUTHORIZATION_RULES = 12
_NAMESPACE = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_RESOURCE_GROUP = re.compile(r"[\w().-]*[\w()-]")
_SHORT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_KEY = re.compile(r"(https://[^/]+)/keys/([A-Za-z0-9-]{1,127})(?:/([0-9a-fA-F]{32}))?/?")
_IDENTITY = re.compile(
    r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+"
)
_WORKSPACE = re.compile(
    r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.OperationalInsights/workspaces/[^/]+"
)
_SUBNET = re.compile(
    r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+"
)
_DNS_ZONE = re.compile(
    r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/privateDnsZones/[^/]+"
)
_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_namespace_name(name: str) -> None:
    if not (6 <= len(name) <= 50 and _NAMESPACE.fullmatch(name)):
        raise _bad_name(
            name,
            "a namespace",
            "6 to 50 letters, digits and hyphens, starting with a letter and not ending with a hyphen",
            "namespace",
        )


def check_resource_group_name(name: str, path: str) -> None:
    if not (len(name) <= 90 and _RESOURCE_GROUP.fullmatch(name)):
        raise _bad_name(name, "a resource group", "up to 90 letters, digits and . _ - ( ), not ending with a dot", path)


def check_short_name(name: str, what: str, path: str) -> None:
    """Check the name of a subscription, rule or authorization rule."""
    if not (len(name) <= 50 and _SHORT_NAME.fullmatch(name)):
        raise _bad_name(
            name, what, "up to 50 letters, digits and . - _, starting and ending with a letter or digit", path
        )


def check_subscription_id(subscription_id: str) -> None:
    if not _GUID.fullmatch(subscription_id):
        raise _bad_name(
            subscription_id, "an Azure subscription", "a GUID, as `az account show` prints it", "subscription_id"
        )


def check_principal_id(principal_id: str, path: str) -> None:
    if not _GUID.fullmatch(principal_id):
        raise _bad_name(
            principal_id, "a principal", "its object ID, a GUID, as `az ad sp show --query id` prints it", path
        )


def key_parts(url: str, path: str) -> tuple[str, str, str]:
    """Return the vault, name and version (or "") of a key in Key Vault."""
    match = _KEY.fullmatch(url)
    if match is None:
        raise _bad_name(url, "a key", "https://VAULT.vault.azure.net/keys/NAME, with or without /VERSION", path)
    return match[1], match[2], match[3] or ""


def check_identity_id(resource_id: str, path: str) -> None:
    if not _IDENTITY.fullmatch(resource_id):
        raise _bad_name(
            resource_id, "a user-assigned identity", "its resource ID, as `az identity show --query id` prints it", path
        )


def check_workspace_id(resource_id: str, path: str) -> None:
    if not _WORKSPACE.fullmatch(resource_id):
        words = "its resource ID, as `az monitor log-analytics workspace show --query id` prints it"
        raise _bad_name(resource_id, "a Log Analytics workspace", words, path)


def check_ip_rule(rule: str, path: str) -> None:
    try:
        ipaddress.IPv4Network(rule)
    except ValueError:
        words = "an IPv4 address or a range such as 203.0.113.0/24, whose address is its first"
        raise _bad_name(rule, "an IP rule", words, path) from None


def check_subnet_id(resource_id: str, path: str) -> None:
    if not _SUBNET.fullmatch(resource_id):
        words = "its resource ID, as `az network vnet subnet show --query id` prints it"
        raise _bad_name(resource_id, "a subnet", words, path)


def check_dns_zone_id(resource_id: str, path: str) -> None:
    if not _DNS_ZONE.fullmatch(resource_id):
        words = "its resource ID, as `az network private-dns zone show --query id` prints it"
        raise _bad_name(resource_id, "a private DNS zone", words, path)


def check_private_endpoint_name(name: str, path: str) -> None:
    if not (2 <= len(name) <= 64 and _ENDPOINT_NAME.fullmatch(name)):
        words = "2 to 64 letters, digits and . - _, starting with a letter or digit and not ending with . or -"
        raise _bad_name(name, "a private endpoint", words, path)


def check_known(name: str, names: Sequence[str], path: str, what: str = "queue or topic") -> None:
    """Check that the task has an entity of this name."""
    if name in names:
        return
    close = difflib.get_close_matches(name, names, 1)
    raise ConfigError(
        "servicebus.unknown_entity",
        f'unknown {what} "{name}"',
        hint=f'Did you mean "{close[0]}"?'
        if close
        else f"This task has {', '.join(names[:5]) or 'none'}{' and others' * (len(names) > 5)}.",
        config_path=path,
    )


def check_different(names: Iterable[tuple[str, str]], what: str) -> None:
    """Check pairs of name and path for duplicates, ignoring case as Service Bus does."""
    seen: set[str] = set()
    for name, path in names:
        if name.lower() in seen:
            raise ConfigError(
                "servicebus.duplicate_name",
                f'two {what} are named "{name}"',
                hint="Service Bus names are not case-sensitive: rename one.",
                config_path=path,
            )
        seen.add(name.lower())


def check_properties(
    kind: EntityType,
    settings: EntitySettings | SubscriptionSettings,
    path: PathOf,
    tier: Tier | None,
    mode: Mode,
) -> None:
    """Check the settings of one queue, topic or subscription against the table of properties."""
    for each in PROPERTIES:
        value = getattr(settings, each.name, None)
        if value is None:
            continue
        if kind not in each.on:
            raise _not_of_kind(kind, each, path(each.name))
        if value and tier is not None and tier not in each.tiers:
            raise not_in_tier(each.name, tier, path(each.name), each.instead)
        if mode == "arm":
            _check_value(each, value, tier, path(each.name))


def check_duplicate_detection(settings: EntitySettings, path: PathOf) -> None:
    if settings.duplicate_detection is False and settings.duplicate_detection_window is not None:
        raise ConfigError(
            "servicebus.unused_setting",
            "duplicate_detection_window has no effect while duplicate_detection = false",
            hint="Remove one of the two.",
            config_path=path("duplicate_detection_window"),
        )


def check_partitioning(settings: EntitySettings, detects_duplicates: bool | None, path: PathOf) -> None:
    """Service Bus refuses batches for an entity with both (azure-service-bus issue 103, azure-sdk-for-python 36333)."""
    if settings.partitioning and detects_duplicates:
        raise ConfigError(
            "servicebus.no_batches",
            "partitioning = true needs duplicate_detection = false: Service Bus refuses batches with both",
            hint="Set duplicate_detection = false, or remove partitioning. Without duplicate detection, events resent "
            "after a crash appear twice.",
            config_path=path("partitioning"),
        )


def check_partitions(partitions: int | None, detects_duplicates: bool | None, path: PathOf) -> None:
    """Check an entity of a namespace with so many partitions, whose messages have neither session nor partition key.

    With duplicate detection, their ids are their partition keys, and a batch must have a single one (Microsoft: "Use of
    partition keys"; "Enable partitioning for an Azure Service Bus Premium namespace").
    """
    if (partitions or 1) > 1 and detects_duplicates:
        raise ConfigError(
            "servicebus.no_batches",
            f"premium_messaging_partitions = {partitions} needs a session, a partition_key, or duplicate_detection = "
            "false: otherwise, Service Bus refuses batches",
            hint='Set session, e.g. "table" or "key".',
            config_path=path("duplicate_detection"),
        )


def check_rights(rights: list[Right], path: str) -> None:
    if "Manage" in rights and not {"Listen", "Send"} <= set(rights):
        raise ConfigError(
            "servicebus.bad_rights",
            "the right Manage requires Listen and Send",
            hint='Set rights = ["Listen", "Send", "Manage"].',
            config_path=path,
        )


def spec_value(form: Form, value: Any) -> Any:
    """Convert a setting to the units of a spec: seconds, megabytes or kilobytes.

    Service Bus counts in 1,024s, so 1GB and 1GiB are both 1,024 MB, and 1MB and 1MiB are both 1,024 KB.
    """
    if form == "duration":
        return float(value)
    if form == "megabytes":
        return value // 1000**3 * 1024 if value % 1000**3 == 0 else value // 1024**2
    if form == "kilobytes":
        return value // 1000**2 * 1024 if value % 1000**2 == 0 else value // 1024
    return value


def check_rule_count(count: int, entity: str) -> None:
    """Check the number of authorization rules. `entity`: empty for the namespace."""
    if count > MAX_AUTHORIZATION_RULES:
        raise ConfigError(
            "servicebus.out_of_range",
            f"{count} authorization rules for {entity or 'the namespace'}; the limit is {MAX_AUTHORIZATION_RULES}",
            config_path="authorization_rules",
        )


def not_in_tier(what: str, tier: Tier, path: str, hint: str = "") -> ConfigError:
    return ConfigError("servicebus.not_in_tier", f"{tier} does not support {what}", hint=hint, config_path=path)


def _check_value(each: EntityProperty, given: Any, tier: Tier | None, path: str) -> None:
    if each.form in ("flag", "text"):
        return
    value = spec_value(each.form, given)
    low, high = each.range
    in_range = (low is None or value >= low) and (high is None or value <= high)
    if not in_range or (each.choices and value not in choices_in(each, tier)):
        raise ConfigError(
            "servicebus.out_of_range",
            f"{path} is {getattr(given, 'text', given)}; Service Bus accepts {accepted(each, tier)}",
            config_path=path,
        )


def _not_of_kind(kind: EntityType, each: EntityProperty, path: str) -> ConfigError:
    others = " and ".join(f"{other}s" for other in each.on)
    return ConfigError(
        "servicebus.not_of_kind",
        f"{each.name} is not a setting of a {kind}",
        hint=f"Set {each.name} in subscriptions."
        if "subscription" in each.on
        else f"Remove it: only {others} have {each.name}.",
        config_path=path,
    )


def _bad_name(name: str, what: str, words: str, path: str) -> ConfigError:
    return ConfigError(
        "servicebus.bad_name", f'"{name}" is not a valid name for {what}', hint=f"Allowed: {words}.", config_path=path
    )
