"""The resource group and the namespace, and how they are kept."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_stacks.spec import CustomerManagedKey, NetworkRules, PrivateEndpoint

from dstream.errors import ConfigError
from tests.unit.servicebus.specs import NEW, spec, topics


def test_a_namespace_can_be_given_by_its_host_name() -> None:
    built = spec(namespace="sb-orders.servicebus.windows.net")

    assert built.namespace is not None
    assert built.namespace.name == "sb-orders"


def test_a_created_namespace_and_group_are_protected_unless_switched_off() -> None:
    created = {"create_namespace": True, "create_resource_group": True, "location": "westeurope"}
    for settings, protects in (({}, True), ({"protect_namespace": False}, False)):
        made = spec(**created, **settings)
        assert made.namespace is not None
        assert made.resource_group is not None
        assert (made.namespace.protect, made.resource_group.protect) == (protects, protects)
        assert made.queues[0].protect is False


def test_ignored_changes_belong_to_the_namespace_an_entity_or_a_subscription() -> None:
    made = topics(
        create_namespace=True,
        create_resource_group=True,
        location="westeurope",
        ignore_changes=["capacity", "tags.policy"],
        entity={"ignore_changes": ["max_size"]},
        subscriptions=[{"name": "audit", "ignore_changes": ["maxDeliveryCount"]}],
    )
    assert made.namespace is not None
    assert made.resource_group is not None
    assert made.namespace.ignore_changes == ("sku.capacity", "tags.policy")
    assert made.resource_group.ignore_changes == ("tags.policy",)
    assert made.topics[0].ignore_changes == ("maxSizeInMegabytes",)
    assert made.topics[0].subscriptions[0].ignore_changes == ("maxDeliveryCount",)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"create_namespace": True, "location": "x", "ignore_changes": ["capcity"]}, "ignore_changes"),
        ({"entity": {"ignore_changes": ["capcity"]}}, "entity.ignore_changes"),
        ({"entities": {"orders": {"ignore_changes": ["capcity"]}}}, "entities.orders.ignore_changes"),
    ],
)
def test_an_unknown_property_to_ignore_is_refused_with_the_valid_names(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match='no property "capcity" to ignore') as refused:
        spec(**settings)
    assert refused.value.code == "servicebus.unknown_property"
    assert refused.value.config_path == path
    assert "Valid names:" in (refused.value.hint or "")


def test_an_existing_namespace_has_no_changes_to_ignore() -> None:
    with pytest.raises(ConfigError, match="ignore_changes only applies to a namespace that DStream creates"):
        spec(ignore_changes=["tags"])


IDENTITY = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-sb"
KEY_URL = "https://kv-retail.vault.azure.net/keys/sb"


def test_a_key_in_key_vault_encrypts_a_premium_namespace() -> None:
    version = "0123456789abcdef0123456789abcdef"
    for url, wanted in ((KEY_URL, ""), (f"{KEY_URL}/{version}", version)):
        built = spec(**NEW, sku="Premium", customer_managed_key={"key": url, "identity": IDENTITY})
        assert built.namespace is not None
        assert built.namespace.customer_managed_key == CustomerManagedKey(
            vault="https://kv-retail.vault.azure.net", name="sb", version=wanted, identity=IDENTITY
        )


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({**NEW, "sku": "Standard"}, "not_in_tier", "customer_managed_key"),
        ({}, "unused_setting", "customer_managed_key"),
        ({**NEW, "sku": "Premium", "key": "kv-retail/sb"}, "bad_name", "customer_managed_key.key"),
        ({**NEW, "sku": "Premium", "identity": "id-sb"}, "bad_name", "customer_managed_key.identity"),
    ],
)
def test_an_impossible_customer_managed_key_is_refused(settings: dict[str, Any], code: str, path: str) -> None:
    key = {
        "key": KEY_URL,
        "identity": IDENTITY,
        **{name: settings[name] for name in ("key", "identity") if name in settings},
    }
    others = {name: value for name, value in settings.items() if name not in key}
    with pytest.raises(ConfigError) as refused:
        spec(**others, customer_managed_key=key)
    assert (refused.value.code, refused.value.config_path) == (f"servicebus.{code}", path)


def test_the_logs_of_a_created_namespace_go_to_a_workspace() -> None:
    workspace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/logs"
    built = spec(**NEW, log_analytics_workspace=workspace)
    assert built.namespace is not None
    assert built.namespace.log_analytics_workspace == workspace
    with pytest.raises(ConfigError, match="not a valid name for a Log Analytics workspace"):
        spec(**NEW, log_analytics_workspace="logs")


NETWORK = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network"
SUBNET = f"{NETWORK}/virtualNetworks/vnet/subnets/apps"
ZONE = f"{NETWORK}/privateDnsZones/privatelink.servicebus.windows.net"
RULES = {"ip_rules": ["203.0.113.0/24", "198.51.100.7"], "subnets": [SUBNET], "trusted_services": True}
PREMIUM = {**NEW, "sku": "Premium"}


def test_a_created_namespace_has_network_rules_and_private_endpoints() -> None:
    endpoints = [{"name": "pe-sb", "subnet": SUBNET, "location": "northeurope", "dns_zone": ZONE}]
    built = spec(**PREMIUM, network_rules=RULES, private_endpoints=endpoints)
    assert built.namespace is not None
    assert built.namespace.network_rules == NetworkRules(
        ip_rules=("203.0.113.0/24", "198.51.100.7"), subnets=(SUBNET,), trusted_services=True
    )
    assert built.namespace.private_endpoints == (
        PrivateEndpoint(name="pe-sb", subnet=SUBNET, location="northeurope", dns_zone=ZONE),
    )


def test_ip_rules_do_not_need_premium() -> None:
    built = spec(**NEW, sku="Standard", network_rules={"ip_rules": ["203.0.113.0/24"]})
    assert built.namespace is not None
    assert built.namespace.network_rules == NetworkRules(ip_rules=("203.0.113.0/24",))


ENDPOINT = {"name": "pe-sb", "subnet": SUBNET}


@pytest.mark.parametrize(
    ("settings", "code", "path"),
    [
        ({"network_rules": RULES}, "unused_setting", "network_rules"),
        ({"private_endpoints": [ENDPOINT]}, "unused_setting", "private_endpoints"),
        ({**NEW, "network_rules": {"subnets": [SUBNET]}}, "not_in_tier", "network_rules.subnets"),
        ({**NEW, "network_rules": {"trusted_services": True}}, "not_in_tier", "network_rules.trusted_services"),
        ({**NEW, "private_endpoints": [ENDPOINT]}, "not_in_tier", "private_endpoints"),
        ({**PREMIUM, "network_rules": {"ip_rules": ["10.0.0.1/24"]}}, "bad_name", "network_rules.ip_rules"),
        ({**PREMIUM, "network_rules": {"ip_rules": ["::1"]}}, "bad_name", "network_rules.ip_rules"),
        ({**PREMIUM, "network_rules": {"subnets": ["apps"]}}, "bad_name", "network_rules.subnets"),
        ({**PREMIUM, "private_endpoints": [{**ENDPOINT, "name": "p"}]}, "bad_name", "private_endpoints[0].name"),
        ({**PREMIUM, "private_endpoints": [{**ENDPOINT, "subnet": "x"}]}, "bad_name", "private_endpoints[0].subnet"),
        ({**PREMIUM, "private_endpoints": [{**ENDPOINT, "dns_zone": SUBNET}]}, "bad_name", "private_endpoints[0].dns_zone"),
        ({**PREMIUM, "private_endpoints": [ENDPOINT, ENDPOINT]}, "duplicate_name", "private_endpoints"),
        ({"mode": "entities", "network_rules": RULES}, "not_in_mode", "network_rules"),
    ],
)  # fmt: skip
def test_an_impossible_network_setting_is_refused(settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        spec(**settings)
    assert (refused.value.code, refused.value.config_path) == (f"servicebus.{code}", path)
