from __future__ import annotations

import pytest
from dstream_sandbox.azure.ids import place_of, place_of_id
from dstream_sandbox.azure.resource_types import TYPES

_NAMES = {
    "resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders", "topicName": "events",
    "subscriptionName": "audit", "ruleName": "large", "authorizationRuleName": "app",
    "name": "two", "resourceUri": "/subscriptions/s1/resourcegroups/rg/providers/x/y/z",
    "privateEndpointName": "pe", "privateDnsZoneGroupName": "default", "environmentName": "cae", "workspaceName": "log",
    "containerAppName": "ca", "resourceName": "id-ca", "accountName": "stretail", "containerName": "state",
    "roleAssignmentName": "one", "scope": "/subscriptions/s1/resourcegroups/rg/providers/x/y/z",
}  # fmt: skip
_IN_NAMESPACE = "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/ns-one"


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.token)
def test_an_id_is_parsed_back_into_its_names(kind: object) -> None:
    made = place_of(kind, "s1", _NAMES)  # type: ignore[arg-type]
    assert place_of_id(made.type, made.id) == made
    upper_case = place_of_id(made.type, made.id.upper())
    assert upper_case is not None
    assert {name: value.lower() for name, value in upper_case.names.items()} == made.names


@pytest.mark.parametrize(
    ("kind", "ending", "entity_path"),
    [
        ("Namespace", "", "ns-one"),
        ("Queue", "/queues/orders", "orders"),
        ("Topic", "/topics/events", "events"),
        ("Subscription", "/topics/events/subscriptions/audit", "events/Subscriptions/audit"),
        ("Rule", "/topics/events/subscriptions/audit/rules/large", "events/Subscriptions/audit/Rules/large"),
        (
            "DefaultRule",
            "/topics/events/subscriptions/audit/rules/$Default",
            "events/Subscriptions/audit/Rules/$Default",
        ),
        ("NamespaceNetworkRuleSet", "/networkRuleSets/default", "default"),
        ("NamespaceAuthorizationRule", "/authorizationRules/app", "app"),
        ("QueueAuthorizationRule", "/queues/orders/authorizationRules/app", "orders/AuthorizationRules/app"),
    ],
)
def test_ids_match_azure(kind: str, ending: str, entity_path: str) -> None:
    place = place_of(TYPES[f"azure-native:servicebus:{kind}"], "s1", _NAMES)
    assert place.id == _IN_NAMESPACE + ending
    assert place.entity_path == entity_path


def test_the_id_of_a_role_assignment_starts_with_its_scope() -> None:
    kind = TYPES["azure-native:authorization:RoleAssignment"]
    place = place_of(kind, "ignored", {"scope": f"{_IN_NAMESPACE}/queues/orders", "roleAssignmentName": "one"})
    assert place.id == f"{_IN_NAMESPACE}/queues/orders/providers/Microsoft.Authorization/roleAssignments/one"
    assert place.group == "rg"


def test_an_id_of_another_kind_is_not_parsed() -> None:
    assert place_of_id(TYPES["azure-native:servicebus:Queue"], f"{_IN_NAMESPACE}/topics/events") is None
    assert place_of_id(TYPES["azure-native:servicebus:Topic"], f"{_IN_NAMESPACE}/topics/a/subscriptions/b") is None
