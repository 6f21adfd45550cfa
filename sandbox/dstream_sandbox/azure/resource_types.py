"""The emulated resource types, as data: the parts of their ids, their properties and the defaults.

Sources: azure-native 3.29.0's classes (a test compares the tables with them); ARM reference "Microsoft.ServiceBus
namespaces", "namespaces/queues", "namespaces/topics", "topics/subscriptions", "subscriptions/rules"; replacements as
azure-native's gen/replacement.go lists them; "Microsoft.Authorization roleAssignments" 2022-04-01,
"Microsoft.Insights diagnosticSettings" 2021-05-01-preview, "Microsoft.Network privateEndpoints" 2024-05-01. Ranges of
numbers and durations are the broker's (broker/validation.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.azure.container_app_types import CONTAINER_APP_TYPES
from dstream_sandbox.azure.resource_type import (
    GROUP,
    GROUP_PATH,
    LOCATION,
    SCOPED,
    TAGS,
    Kind,
    PathPart,
    Property,
    ResourceType,
)

__all__ = ["DEFAULT_RULE", "FOREVER", "SCOPED", "SUBSCRIPTION", "TYPES", "Kind", "PathPart", "Property", "ResourceType"]

FOREVER = "P10675199DT2H48M5.4775807S"
DEFAULT_RULE = "$Default"
SUBSCRIPTION = "azure-native:servicebus:Subscription"


def _flag(name: str, default: bool, attribute: str = "", *, replaces: bool = False) -> Property:
    return Property(name, "flag", default, attribute, replaces=replaces)


def _duration(name: str, default: str | None, attribute: str = "") -> Property:
    return Property(name, "duration", default, attribute)


_NAMESPACE = PathPart("namespaceName", 6, 50)
_QUEUE = PathPart("queueName", 1, 260)
_TOPIC = PathPart("topicName", 1, 260)
_SUBSCRIPTION = PathPart("subscriptionName", 1, 50)
_RULE = PathPart("ruleName", 1, 50)
_POLICY = PathPart("authorizationRuleName", 1, 50)

_ENDPOINT = PathPart("privateEndpointName", 1, 80)

_NAMESPACE_PATH = f"{GROUP_PATH}/providers/Microsoft.ServiceBus/namespaces/{{namespaceName}}"
_QUEUE_PATH = f"{_NAMESPACE_PATH}/queues/{{queueName}}"
_TOPIC_PATH = f"{_NAMESPACE_PATH}/topics/{{topicName}}"
_ENDPOINT_PATH = f"{GROUP_PATH}/providers/Microsoft.Network/privateEndpoints/{{privateEndpointName}}"
_SUBSCRIPTION_PATH = f"{_TOPIC_PATH}/subscriptions/{{subscriptionName}}"

_API = "2026-01-01"
_STATUS = Property(
    "status", "text", "Active", "status", choices=("Active", "Disabled", "SendDisabled", "ReceiveDisabled")
)
_SIZED = (
    _duration("autoDeleteOnIdle", FOREVER, "auto_delete_on_idle_s"),
    _duration("defaultMessageTimeToLive", FOREVER, "default_ttl_s"),
    _duration("duplicateDetectionHistoryTimeWindow", "PT10M", "duplicate_window_s"),
    _flag("enableBatchedOperations", True, "enable_batched_operations"),
    _flag("enableExpress", False, "enable_express"),
    _flag("enablePartitioning", False, "enable_partitioning", replaces=True),
    Property("maxMessageSizeInKilobytes", "number", 256, "max_message_size_kb"),
    Property("maxSizeInMegabytes", "integer", 1024, "max_size_mb"),
    _flag("requiresDuplicateDetection", False, "requires_duplicate_detection", replaces=True),
    _STATUS,
    Property("userMetadata", "text", None, "user_metadata"),
)
_FORWARDS = (
    Property("forwardDeadLetteredMessagesTo", "text", None, "forward_dead_letters_to"),
    Property("forwardTo", "text", None, "forward_to"),
)
_DELIVERY = (
    _flag("deadLetteringOnMessageExpiration", False, "dead_letter_on_expiration"),
    _duration("lockDuration", "PT1M", "lock_duration_s"),
    Property("maxDeliveryCount", "integer", 10, "max_delivery_count"),
)
_SQL = (
    Property("compatibilityLevel", "integer", 20),
    _flag("requiresPreprocessing", True),
)
_RULE_PROPERTIES = (
    Property("action", "object", properties=(*_SQL, Property("sqlExpression"))),
    Property(
        "correlationFilter",
        "object",
        properties=(
            *(
                Property(name)
                for name in (
                    "contentType", "correlationId", "label", "messageId", "replyTo", "replyToSessionId", "sessionId",
                    "to",
                )
            ),
            Property("properties", "map"),
            _flag("requiresPreprocessing", True),
        ),
    ),
    Property("filterType", "text", "SqlFilter", choices=("SqlFilter", "CorrelationFilter")),
    Property("sqlFilter", "object", properties=(*_SQL, Property("sqlExpression", "text", "1=1"))),
)  # fmt: skip
_PRINCIPAL_TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
_RIGHTS = (Property("rights", "texts", required=True, choices=("Manage", "Send", "Listen")),)
_COMMON_OUTPUTS = ("azureApiVersion", "location", "name", "systemData", "type")
_ENTITY_OUTPUTS = ("accessedAt", "countDetails", "createdAt", "updatedAt", *_COMMON_OUTPUTS)

_ALL = (
    ResourceType(
        "azure-native:resources:ResourceGroup",
        "2024-03-01",
        "Microsoft.Resources/resourceGroups",
        GROUP_PATH,
        (GROUP,),
        (LOCATION, Property("managedBy"), TAGS),
        ("azureApiVersion", "name", "properties", "type"),
    ),
    ResourceType(
        "azure-native:servicebus:Namespace",
        _API,
        "Microsoft.ServiceBus/namespaces",
        _NAMESPACE_PATH,
        (GROUP, _NAMESPACE),
        (
            _flag("disableLocalAuth", False),
            Property(
                "encryption",
                "object",
                properties=(
                    Property("keySource", "text", "Microsoft.KeyVault", choices=("Microsoft.KeyVault",)),
                    Property("keyVaultProperties", "objects"),
                    _flag("requireInfrastructureEncryption", False),
                ),
            ),
            Property(
                "identity",
                "object",
                properties=(
                    Property("type", "text", choices=("SystemAssigned", "UserAssigned", "None")),
                    Property("userAssignedIdentities", "texts"),
                ),
            ),
            Property("ipAddressType", "text", "IPv4", choices=("IPv4", "DualStack")),
            LOCATION,
            Property("minimumTlsVersion", "text", "1.2", choices=("1.0", "1.1", "1.2", "1.3")),
            Property("premiumMessagingPartitions", "integer", 0),
            Property(
                "publicNetworkAccess", "text", "Enabled", choices=("Enabled", "Disabled", "SecuredByPerimeter")
            ),
            Property(
                "sku",
                "object",
                properties=(
                    Property("name", "text", "Standard", required=True, choices=("Basic", "Standard", "Premium")),
                    Property("capacity", "integer"),
                    Property("tier", "text", choices=("Basic", "Standard", "Premium"), default_of="name"),
                ),
            ),
            TAGS,
            _flag("zoneRedundant", False),
        ),
        (
            "createdAt", "metricId", "provisioningState", "serviceBusEndpoint", "status", "updatedAt",
            "azureApiVersion", "name", "systemData", "type",
        ),
        (
            "alternateName", "geoDataReplication", "platformCapabilities", "privateEndpointConnections",
        ),
    ),
    ResourceType(
        "azure-native:servicebus:Queue",
        _API,
        "Microsoft.ServiceBus/namespaces/queues",
        _QUEUE_PATH,
        (GROUP, _NAMESPACE, _QUEUE),
        (*_SIZED, *_DELIVERY, *_FORWARDS, _flag("requiresSession", False, "requires_session", replaces=True)),
        ("messageCount", "sizeInBytes", *_ENTITY_OUTPUTS),
    ),
    ResourceType(
        "azure-native:servicebus:Topic",
        _API,
        "Microsoft.ServiceBus/namespaces/topics",
        _TOPIC_PATH,
        (GROUP, _NAMESPACE, _TOPIC),
        (*_SIZED, _flag("supportOrdering", True, "support_ordering")),
        ("sizeInBytes", "subscriptionCount", *_ENTITY_OUTPUTS),
    ),
    ResourceType(
        SUBSCRIPTION,
        _API,
        "Microsoft.ServiceBus/namespaces/topics/subscriptions",
        _SUBSCRIPTION_PATH,
        (GROUP, _NAMESPACE, _TOPIC, _SUBSCRIPTION),
        (
            _duration("autoDeleteOnIdle", FOREVER, "auto_delete_on_idle_s"),
            _flag("deadLetteringOnFilterEvaluationExceptions", True, "dead_letter_on_filter_errors"),
            _duration("defaultMessageTimeToLive", FOREVER, "default_ttl_s"),
            _flag("enableBatchedOperations", True, "enable_batched_operations"),
            *_DELIVERY,
            *_FORWARDS,
            _flag("requiresSession", False, "requires_session"),
            _STATUS,
            Property("userMetadata", "text", None, "user_metadata"),
        ),
        ("messageCount", *_ENTITY_OUTPUTS),
        # Duplicate detection belongs to the topic; client-affine subscriptions are for JMS.
        ("clientAffineProperties", "duplicateDetectionHistoryTimeWindow", "isClientAffine"),
    ),
    ResourceType(
        "azure-native:servicebus:Rule",
        _API,
        "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules",
        f"{_SUBSCRIPTION_PATH}/rules/{{ruleName}}",
        (GROUP, _NAMESPACE, _TOPIC, _SUBSCRIPTION, _RULE),
        _RULE_PROPERTIES,
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:servicebus:DefaultRule",
        _API,
        "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules",
        f"{_SUBSCRIPTION_PATH}/rules/{DEFAULT_RULE}",
        (GROUP, _NAMESPACE, _TOPIC, _SUBSCRIPTION),
        _RULE_PROPERTIES,
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:servicebus:NamespaceAuthorizationRule",
        _API,
        "Microsoft.ServiceBus/namespaces/authorizationRules",
        f"{_NAMESPACE_PATH}/authorizationRules/{{authorizationRuleName}}",
        (GROUP, _NAMESPACE, _POLICY),
        _RIGHTS,
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:servicebus:QueueAuthorizationRule",
        _API,
        "Microsoft.ServiceBus/namespaces/queues/authorizationRules",
        f"{_QUEUE_PATH}/authorizationRules/{{authorizationRuleName}}",
        (GROUP, _NAMESPACE, _QUEUE, _POLICY),
        _RIGHTS,
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:servicebus:TopicAuthorizationRule",
        _API,
        "Microsoft.ServiceBus/namespaces/topics/authorizationRules",
        f"{_TOPIC_PATH}/authorizationRules/{{authorizationRuleName}}",
        (GROUP, _NAMESPACE, _TOPIC, _POLICY),
        _RIGHTS,
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:authorization:RoleAssignment",
        "2022-04-01",
        "Microsoft.Authorization/roleAssignments",
        f"{SCOPED[0]}/providers/Microsoft.Authorization/roleAssignments/{{roleAssignmentName}}",
        (PathPart("scope", 1, 2048), PathPart("roleAssignmentName")),
        (
            Property("description"),
            Property("principalId", required=True),
            Property("principalType", "text", "User", choices=_PRINCIPAL_TYPES),
            Property("roleDefinitionId", required=True),
        ),
        ("azureApiVersion", "createdBy", "createdOn", "name", "systemData", "type", "updatedBy", "updatedOn"),
        ("condition", "conditionVersion", "delegatedManagedIdentityResourceId"),
    ),
    ResourceType(
        "azure-native:monitor:DiagnosticSetting",
        "2021-05-01-preview",
        "Microsoft.Insights/diagnosticSettings",
        f"{SCOPED[1]}/providers/Microsoft.Insights/diagnosticSettings/{{name}}",
        (PathPart("resourceUri", 1, 2048), PathPart("name")),
        (Property("logs", "objects"), Property("metrics", "objects"), Property("workspaceId")),
        ("azureApiVersion", "systemData", "type"),
        (
            "eventHubAuthorizationRuleId", "eventHubName", "logAnalyticsDestinationType", "marketplacePartnerId",
            "serviceBusRuleId", "storageAccountId",
        ),
    ),
    ResourceType(
        "azure-native:servicebus:NamespaceNetworkRuleSet",
        _API,
        "Microsoft.ServiceBus/namespaces/networkRuleSets",
        f"{_NAMESPACE_PATH}/networkRuleSets/default",
        (GROUP, _NAMESPACE),
        (
            Property("defaultAction", "text", "Allow", choices=("Allow", "Deny")),
            Property("ipRules", "objects"),
            Property("publicNetworkAccess", "text", "Enabled", choices=("Enabled", "Disabled")),
            _flag("trustedServiceAccessEnabled", False),
            Property("virtualNetworkRules", "objects"),
        ),
        _COMMON_OUTPUTS,
    ),
    ResourceType(
        "azure-native:network:PrivateEndpoint",
        "2024-05-01",
        "Microsoft.Network/privateEndpoints",
        _ENDPOINT_PATH,
        (GROUP, _ENDPOINT),
        (
            Property("customDnsConfigs", "objects"),
            LOCATION,
            Property("privateLinkServiceConnections", "objects"),
            Property("subnet", "nested"),
            TAGS,
        ),
        ("azureApiVersion", "etag", "name", "networkInterfaces", "provisioningState", "type"),
        (
            "applicationSecurityGroups", "customNetworkInterfaceName", "extendedLocation", "id", "ipConfigurations",
            "manualPrivateLinkServiceConnections",
        ),
    ),
    ResourceType(
        "azure-native:network:PrivateDnsZoneGroup",
        "2024-05-01",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        f"{_ENDPOINT_PATH}/privateDnsZoneGroups/{{privateDnsZoneGroupName}}",
        (GROUP, _ENDPOINT, PathPart("privateDnsZoneGroupName", 1, 80)),
        (Property("privateDnsZoneConfigs", "objects"),),
        ("azureApiVersion", "etag", "provisioningState"),
        ("id", "name"),
    ),
)  # fmt: skip

TYPES: Mapping[str, ResourceType] = {each.token: each for each in (*_ALL, *CONTAINER_APP_TYPES)}
