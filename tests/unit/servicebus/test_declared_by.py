"""The setting that an error about a resource points to."""

from __future__ import annotations

from typing import Any

import pytest
from dstream_servicebus.config import Config
from dstream_servicebus.specs.declared_by import config_path_of, protect_setting

from dstream.sdk import decode_config

PRINCIPAL = "aaaaaaaa-2222-3333-4444-555555555555"
TOPIC: dict[str, Any] = {
    "topic": "events",
    "subscriptions": [
        {"name": "audit", "topics": ["other"]},
        {"name": "audit", "rules": [{"name": "us"}, {"name": "eu", "filter": "1=1"}]},
    ],
    "authorization_rules": [
        {"name": "reader", "rights": ["Listen"]},
        {"name": "reader", "rights": ["Listen"], "entity": "events"},
    ],
    "role_assignments": [
        {"role": "Sender", "principal_id": PRINCIPAL.upper()},
        {"role": "Receiver", "principal_id": PRINCIPAL, "entity": "events", "subscription": "audit"},
        {"role": "Receiver", "principal_id": PRINCIPAL, "entity": "events"},
    ],
}

ENDPOINTS: dict[str, Any] = {"private_endpoints": [{"name": name, "subnet": "/s"} for name in ("pe-one", "pe-two")]}


@pytest.mark.parametrize(
    ("settings", "kind", "name", "path"),
    [
        ({}, "resources:ResourceGroup", "rg-retail", "resource_group"),
        ({}, "servicebus:Namespace", "sb-retail", "namespace"),
        ({"queue": "orders"}, "servicebus:Queue", "orders", "queue"),
        ({"queue": "{table}", "entities": {"orders": {}}}, "servicebus:Queue", "orders", "entities.orders"),
        ({"tables": ["orders"]}, "servicebus:Queue", "h_orders", "tables"),
        (TOPIC, "servicebus:Topic", "events", "topic"),
        (TOPIC, "servicebus:Subscription", "events/audit", "subscriptions[1]"),
        (TOPIC, "servicebus:Subscription", "other/audit", "subscriptions[0]"),
        (TOPIC, "servicebus:Subscription", "events/gone", ""),
        (TOPIC, "servicebus:Rule", "events/audit/eu", "subscriptions[1].rules[1]"),
        (TOPIC, "servicebus:DefaultRule", "events/audit/$Default", "subscriptions[1]"),
        (TOPIC, "servicebus:Rule", "events/gone/eu", ""),
        (TOPIC, "servicebus:NamespaceAuthorizationRule", "reader", "authorization_rules[0]"),
        (TOPIC, "servicebus:TopicAuthorizationRule", "events/reader", "authorization_rules[1]"),
        (TOPIC, "servicebus:TopicAuthorizationRule", "events/gone", ""),
        ({}, "monitor:DiagnosticSetting", "sb-retail/dstream", "log_analytics_workspace"),
        ({}, "servicebus:NamespaceNetworkRuleSet", "sb-retail/network-rules", "network_rules"),
        (ENDPOINTS, "network:PrivateEndpoint", "pe-two", "private_endpoints[1]"),
        (ENDPOINTS, "network:PrivateDnsZoneGroup", "pe-one/dns", "private_endpoints[0]"),
        (ENDPOINTS, "network:PrivateEndpoint", "pe-gone", ""),
        (TOPIC, "authorization:RoleAssignment", f"events/Sender/{PRINCIPAL}", "role_assignments[0]"),
        (TOPIC, "authorization:RoleAssignment", f"events/audit/Receiver/{PRINCIPAL}", "role_assignments[1]"),
        (TOPIC, "authorization:RoleAssignment", f"events/Receiver/{PRINCIPAL}", "role_assignments[2]"),
        (TOPIC, "authorization:RoleAssignment", f"gone/Receiver/{PRINCIPAL}", ""),
        ({}, "pulumi:Unknown", "x", ""),
    ],
)
def test_a_resource_maps_to_the_setting_that_declares_it(
    settings: dict[str, Any], kind: str, name: str, path: str
) -> None:
    assert config_path_of(decode_config(settings, Config), f"azure-native:{kind}", name) == path


def test_the_setting_that_protects_a_namespace_is_its_own_unless_the_output_is_protected() -> None:
    namespace, queue = "azure-native:servicebus:Namespace", "azure-native:servicebus:Queue"
    plain, protected = Config(), Config(protect=True)
    assert protect_setting(plain, namespace, "sb") == "protect_namespace"
    assert protect_setting(protected, namespace, "sb") == "protect"
    assert protect_setting(plain, queue, "q") == "protect"
