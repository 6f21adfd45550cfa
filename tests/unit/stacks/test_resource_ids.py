from __future__ import annotations

import pytest
from dstream_stacks import resource_ids as ids

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
NAMESPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/sb"
INPUTS = {
    "resourceGroupName": "rg",
    "namespaceName": "sb",
    "queueName": "orders",
    "topicName": "events",
    "subscriptionName": "audit",
    "ruleName": "eu",
    "authorizationRuleName": "sender",
    "roleAssignmentName": "11111111-0000-0000-0000-000000000000",
    "scope": f"{NAMESPACE}/queues/orders",
    "name": "dstream",
    "resourceUri": NAMESPACE,
    "privateEndpointName": "pe-sb",
    "privateDnsZoneGroupName": "default",
    "environmentName": "cae-retail",
    "containerAppName": "orders",
    "resourceName": "id-orders",
    "accountName": "stretail",
    "containerName": "dstream",
    "workspaceName": "log-retail",
}
PROVIDERS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers"
ENDPOINT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe-sb"
IDS = {
    ids.RESOURCE_GROUP: f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg",
    ids.NAMESPACE: NAMESPACE,
    ids.QUEUE: f"{NAMESPACE}/queues/orders",
    ids.TOPIC: f"{NAMESPACE}/topics/events",
    ids.SUBSCRIPTION: f"{NAMESPACE}/topics/events/subscriptions/audit",
    ids.RULE: f"{NAMESPACE}/topics/events/subscriptions/audit/rules/eu",
    ids.DEFAULT_RULE: f"{NAMESPACE}/topics/events/subscriptions/audit/rules/$Default",
    ids.NAMESPACE_AUTHORIZATION_RULE: f"{NAMESPACE}/AuthorizationRules/sender",
    ids.QUEUE_AUTHORIZATION_RULE: f"{NAMESPACE}/queues/orders/authorizationRules/sender",
    ids.TOPIC_AUTHORIZATION_RULE: f"{NAMESPACE}/topics/events/authorizationRules/sender",
    ids.ROLE_ASSIGNMENT: (
        f"{NAMESPACE}/queues/orders/providers/Microsoft.Authorization/roleAssignments"
        "/11111111-0000-0000-0000-000000000000"
    ),
    ids.DIAGNOSTIC_SETTING: f"{NAMESPACE}/providers/Microsoft.Insights/diagnosticSettings/dstream",
    ids.NETWORK_RULE_SET: f"{NAMESPACE}/networkRuleSets/default",
    ids.PRIVATE_ENDPOINT: ENDPOINT,
    ids.DNS_ZONE_GROUP: f"{ENDPOINT}/privateDnsZoneGroups/default",
    ids.ENVIRONMENT: f"{PROVIDERS}/Microsoft.App/managedEnvironments/cae-retail",
    ids.CONTAINER_APP: f"{PROVIDERS}/Microsoft.App/containerApps/orders",
    ids.IDENTITY: f"{PROVIDERS}/Microsoft.ManagedIdentity/userAssignedIdentities/id-orders",
    ids.STORAGE_ACCOUNT: f"{PROVIDERS}/Microsoft.Storage/storageAccounts/stretail",
    ids.BLOB_CONTAINER: f"{PROVIDERS}/Microsoft.Storage/storageAccounts/stretail/blobServices/default/containers/dstream",
    ids.WORKSPACE: f"{PROVIDERS}/Microsoft.OperationalInsights/workspaces/log-retail",
    ids.OWN_QUEUE: "queue/orders",
    ids.OWN_TOPIC: "topic/events",
    ids.OWN_SUBSCRIPTION: "topic/events/subscription/audit",
    ids.OWN_RULE: "topic/events/subscription/audit/rule/eu",
}


def test_every_type_has_an_id() -> None:
    assert {kind: ids.resource_id(kind, INPUTS, SUBSCRIPTION) for kind in ids.PATHS} == IDS


@pytest.mark.parametrize("kind", IDS)
def test_an_id_is_parsed_back_into_its_parts(kind: str) -> None:
    parts = ids.path_parts(kind, IDS[kind])

    assert parts.pop("subscriptionId", SUBSCRIPTION) == SUBSCRIPTION
    assert parts.items() <= INPUTS.items()
    assert ids.resource_id(kind, parts, SUBSCRIPTION) == IDS[kind]


def test_azure_ids_are_case_insensitive() -> None:
    assert (
        ids.path_parts(ids.QUEUE, IDS[ids.QUEUE].replace("resourceGroups", "resourcegroups"))["queueName"] == "orders"
    )


def test_an_id_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="Topic"):
        ids.path_parts(ids.TOPIC, IDS[ids.QUEUE])


def test_an_id_needs_all_of_its_parts() -> None:
    assert ids.resource_id(ids.QUEUE, INPUTS) is None
    assert ids.resource_id(ids.OWN_SUBSCRIPTION, {"topicName": "events"}) is None
    assert ids.resource_id("random:index:Password", INPUTS, SUBSCRIPTION) is None
