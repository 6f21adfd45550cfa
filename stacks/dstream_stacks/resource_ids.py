"""A resource's id from its type and inputs, to import it or to find it after an interrupted `init`. Pure.

azure-native's ids are the resources' paths in Azure Resource Manager (Microsoft.ServiceBus, API version 2026-01-01;
Microsoft.Authorization, API version 2022-04-01; Microsoft.Insights, API version 2021-05-01-preview; Microsoft.Network,
API version 2024-05-01; Microsoft.App, API version 2025-02-02-preview; Microsoft.ManagedIdentity, 2023-01-31;
Microsoft.Storage, 2024-01-01; Microsoft.OperationalInsights, 2023-09-01).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

RESOURCE_GROUP: Final = "azure-native:resources:ResourceGroup"
NAMESPACE: Final = "azure-native:servicebus:Namespace"
QUEUE: Final = "azure-native:servicebus:Queue"
TOPIC: Final = "azure-native:servicebus:Topic"
SUBSCRIPTION: Final = "azure-native:servicebus:Subscription"
RULE: Final = "azure-native:servicebus:Rule"
DEFAULT_RULE: Final = "azure-native:servicebus:DefaultRule"
NAMESPACE_AUTHORIZATION_RULE: Final = "azure-native:servicebus:NamespaceAuthorizationRule"
QUEUE_AUTHORIZATION_RULE: Final = "azure-native:servicebus:QueueAuthorizationRule"
TOPIC_AUTHORIZATION_RULE: Final = "azure-native:servicebus:TopicAuthorizationRule"
ROLE_ASSIGNMENT: Final = "azure-native:authorization:RoleAssignment"
DIAGNOSTIC_SETTING: Final = "azure-native:monitor:DiagnosticSetting"
NETWORK_RULE_SET: Final = "azure-native:servicebus:NamespaceNetworkRuleSet"
PRIVATE_ENDPOINT: Final = "azure-native:network:PrivateEndpoint"
DNS_ZONE_GROUP: Final = "azure-native:network:PrivateDnsZoneGroup"
ENVIRONMENT: Final = "azure-native:app:ManagedEnvironment"
CONTAINER_APP: Final = "azure-native:app:ContainerApp"
IDENTITY: Final = "azure-native:managedidentity:UserAssignedIdentity"
STORAGE_ACCOUNT: Final = "azure-native:storage:StorageAccount"
BLOB_CONTAINER: Final = "azure-native:storage:BlobContainer"
WORKSPACE: Final = "azure-native:operationalinsights:Workspace"

OWN_QUEUE: Final = "dstream:servicebus:Queue"
OWN_TOPIC: Final = "dstream:servicebus:Topic"
OWN_SUBSCRIPTION: Final = "dstream:servicebus:Subscription"
OWN_RULE: Final = "dstream:servicebus:Rule"

_GROUP_PATH = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_NAMESPACE_PATH = _GROUP_PATH + "/providers/Microsoft.ServiceBus/namespaces/{namespaceName}"
_ENDPOINT_PATH = _GROUP_PATH + "/providers/Microsoft.Network/privateEndpoints/{privateEndpointName}"
_ACCOUNT_PATH = _GROUP_PATH + "/providers/Microsoft.Storage/storageAccounts/{accountName}"
PATHS: Final[Mapping[str, str]] = {
    RESOURCE_GROUP: _GROUP_PATH,
    NAMESPACE: _NAMESPACE_PATH,
    QUEUE: _NAMESPACE_PATH + "/queues/{queueName}",
    TOPIC: _NAMESPACE_PATH + "/topics/{topicName}",
    SUBSCRIPTION: _NAMESPACE_PATH + "/topics/{topicName}/subscriptions/{subscriptionName}",
    RULE: _NAMESPACE_PATH + "/topics/{topicName}/subscriptions/{subscriptionName}/rules/{ruleName}",
    DEFAULT_RULE: _NAMESPACE_PATH + "/topics/{topicName}/subscriptions/{subscriptionName}/rules/$Default",
    NAMESPACE_AUTHORIZATION_RULE: _NAMESPACE_PATH + "/AuthorizationRules/{authorizationRuleName}",
    QUEUE_AUTHORIZATION_RULE: _NAMESPACE_PATH + "/queues/{queueName}/authorizationRules/{authorizationRuleName}",
    TOPIC_AUTHORIZATION_RULE: _NAMESPACE_PATH + "/topics/{topicName}/authorizationRules/{authorizationRuleName}",
    ROLE_ASSIGNMENT: "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
    DIAGNOSTIC_SETTING: "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
    NETWORK_RULE_SET: _NAMESPACE_PATH + "/networkRuleSets/default",
    PRIVATE_ENDPOINT: _ENDPOINT_PATH,
    DNS_ZONE_GROUP: _ENDPOINT_PATH + "/privateDnsZoneGroups/{privateDnsZoneGroupName}",
    ENVIRONMENT: _GROUP_PATH + "/providers/Microsoft.App/managedEnvironments/{environmentName}",
    CONTAINER_APP: _GROUP_PATH + "/providers/Microsoft.App/containerApps/{containerAppName}",
    IDENTITY: _GROUP_PATH + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
    STORAGE_ACCOUNT: _ACCOUNT_PATH,
    BLOB_CONTAINER: _ACCOUNT_PATH + "/blobServices/default/containers/{containerName}",
    WORKSPACE: _GROUP_PATH + "/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}",
    OWN_QUEUE: "queue/{queueName}",
    OWN_TOPIC: "topic/{topicName}",
    OWN_SUBSCRIPTION: "topic/{topicName}/subscription/{subscriptionName}",
    OWN_RULE: "topic/{topicName}/subscription/{subscriptionName}/rule/{ruleName}",
}


def resource_id(resource_type: str, inputs: Mapping[str, Any], subscription_id: str = "") -> str | None:
    """Return the id, or None if the type is unknown or `inputs` and `subscription_id` lack a part of the path."""
    path = PATHS.get(resource_type)
    if path is None:
        return None
    parts = {name: value for name, value in inputs.items() if isinstance(value, str)}
    if subscription_id:
        parts["subscriptionId"] = subscription_id
    try:
        return path.format_map(parts)
    except KeyError:
        return None


def path_parts(resource_type: str, resource_id: str) -> dict[str, str]:
    """Return the inputs that name the resource. Raises ValueError for an id that is not of this type."""
    parts = parts_if(resource_type, resource_id)
    if parts is None:
        raise ValueError(f"{resource_id} is not an id of a {resource_type}")
    return parts


def parts_if(resource_type: str, resource_id: str) -> dict[str, str] | None:
    """Return the inputs that name the resource, or None for an id that is not of this type."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(PATHS[resource_type]))
    pattern = re.sub(r"\(\?P<(scope|resourceUri)>\[\^/\]\+\)", r"(?P<\1>/.+)", pattern)  # itself the id of a resource
    match = re.fullmatch(pattern, resource_id, re.IGNORECASE)  # Azure's paths ignore case
    return match and match.groupdict()
