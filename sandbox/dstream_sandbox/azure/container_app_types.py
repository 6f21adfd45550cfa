"""The resource types that `dstream deploy` creates: environment, container app, identity, storage and logs.

Sources: azure-native 3.29.0's classes; ARM reference "Microsoft.App managedEnvironments" and "containerApps",
"Microsoft.ManagedIdentity userAssignedIdentities", "Microsoft.Storage storageAccounts" and "blobServices/containers",
"Microsoft.OperationalInsights workspaces". Only the properties that DStream sets are emulated.
"""

from __future__ import annotations

from dstream_sandbox.azure.resource_type import GROUP, GROUP_PATH, LOCATION, TAGS, PathPart, Property, ResourceType

__all__ = ["CONTAINER_APP_TYPES"]

_ACCOUNT = PathPart("accountName", 3, 24)
_ACCOUNT_PATH = f"{GROUP_PATH}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_APP_API = "2025-02-02-preview"
_STORAGE_API = "2024-01-01"


def _flag(name: str, default: bool) -> Property:
    return Property(name, "flag", default)


CONTAINER_APP_TYPES = (
    ResourceType(
        "azure-native:app:ManagedEnvironment",
        _APP_API,
        "Microsoft.App/managedEnvironments",
        f"{GROUP_PATH}/providers/Microsoft.App/managedEnvironments/{{environmentName}}",
        (GROUP, PathPart("environmentName", 2, 60)),
        (
            Property("appLogsConfiguration", "nested"),
            LOCATION,
            TAGS,
            Property("workloadProfiles", "objects"),
            Property("zoneRedundant", "flag", False, replaces=True),
        ),
        (
            "azureApiVersion", "daprConfiguration", "defaultDomain", "deploymentErrors", "eventStreamEndpoint",
            "kedaConfiguration", "name", "privateEndpointConnections", "privateLinkDefaultDomain", "provisioningState",
            "staticIp", "systemData", "type",
        ),
        (
            "appInsightsConfiguration", "availabilityZones", "customDomainConfiguration", "daprAiConnectionString",
            "daprAiInstrumentationKey", "diskEncryptionConfiguration", "identity", "infrastructureResourceGroup",
            "ingressConfiguration", "kind", "openTelemetryConfiguration", "peerAuthentication",
            "peerTrafficConfiguration", "publicNetworkAccess", "vnetConfiguration",
        ),
    ),
    ResourceType(
        "azure-native:app:ContainerApp",
        _APP_API,
        "Microsoft.App/containerApps",
        f"{GROUP_PATH}/providers/Microsoft.App/containerApps/{{containerAppName}}",
        (GROUP, PathPart("containerAppName", 2, 32)),
        (
            Property("configuration", "nested", write_only=("secrets", "value")),
            Property(
                "identity",
                "object",
                properties=(
                    Property(
                        "type",
                        "text",
                        choices=("None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned"),
                    ),
                    Property("userAssignedIdentities", "texts"),
                ),
            ),
            LOCATION,
            Property("managedEnvironmentId", replaces=True),
            TAGS,
            Property("template", "nested"),
            Property("workloadProfileName", "text", "Consumption"),
        ),
        (
            "azureApiVersion", "customDomainVerificationId", "deploymentErrors", "eventStreamEndpoint",
            "latestReadyRevisionName", "latestRevisionFqdn", "latestRevisionName", "name", "outboundIpAddresses",
            "provisioningState", "runningStatus", "systemData", "type",
        ),
        ("environmentId", "extendedLocation", "kind", "managedBy", "patchingConfiguration"),
    ),
    ResourceType(
        "azure-native:managedidentity:UserAssignedIdentity",
        "2023-01-31",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        f"{GROUP_PATH}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}",
        (GROUP, PathPart("resourceName", 3, 128)),
        (LOCATION, TAGS),
        ("azureApiVersion", "clientId", "name", "principalId", "systemData", "tenantId", "type"),
    ),
    ResourceType(
        "azure-native:storage:StorageAccount",
        _STORAGE_API,
        "Microsoft.Storage/storageAccounts",
        _ACCOUNT_PATH,
        (GROUP, _ACCOUNT),
        (
            _flag("allowBlobPublicAccess", False),
            _flag("allowSharedKeyAccess", True),
            _flag("enableHttpsTrafficOnly", True),
            Property("kind", required=True, replaces=True, choices=("StorageV2",)),
            LOCATION,
            Property("minimumTlsVersion", "text", "TLS1_0", choices=("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3")),
            Property("sku", "object", required=True, properties=(Property("name", required=True),)),
            TAGS,
        ),
        (
            "accountMigrationInProgress", "azureApiVersion", "blobRestoreStatus", "creationTime",
            "failoverInProgress", "geoReplicationStats", "isSkuConversionBlocked", "keyCreationTime",
            "lastGeoFailoverTime", "name", "primaryEndpoints", "primaryLocation", "privateEndpointConnections",
            "provisioningState", "secondaryEndpoints", "secondaryLocation", "statusOfPrimary", "statusOfSecondary",
            "storageAccountSkuConversionStatus", "type",
        ),
        (
            "accessTier", "allowCrossTenantReplication", "allowedCopyScope", "azureFilesIdentityBasedAuthentication",
            "customDomain", "defaultToOAuthAuthentication", "dnsEndpointType", "enableExtendedGroups", "enableNfsV3",
            "encryption", "extendedLocation", "identity", "immutableStorageWithVersioning", "isHnsEnabled",
            "isLocalUserEnabled", "isSftpEnabled", "keyPolicy", "largeFileSharesState", "networkRuleSet",
            "publicNetworkAccess", "routingPreference", "sasPolicy",
        ),
    ),
    ResourceType(
        "azure-native:storage:BlobContainer",
        _STORAGE_API,
        "Microsoft.Storage/storageAccounts/blobServices/containers",
        f"{_ACCOUNT_PATH}/blobServices/default/containers/{{containerName}}",
        (GROUP, _ACCOUNT, PathPart("containerName", 3, 63)),
        (Property("publicAccess", "text", "None", choices=("None", "Blob", "Container")),),
        (
            "azureApiVersion", "deleted", "deletedTime", "etag", "hasImmutabilityPolicy", "hasLegalHold",
            "immutabilityPolicy", "lastModifiedTime", "leaseDuration", "leaseState", "leaseStatus", "legalHold", "name",
            "remainingRetentionDays", "type", "version",
        ),
        (
            "defaultEncryptionScope", "denyEncryptionScopeOverride", "enableNfsV3AllSquash", "enableNfsV3RootSquash",
            "immutableStorageWithVersioning", "metadata",
        ),
    ),
    ResourceType(
        "azure-native:operationalinsights:Workspace",
        "2023-09-01",
        "Microsoft.OperationalInsights/workspaces",
        f"{GROUP_PATH}/providers/Microsoft.OperationalInsights/workspaces/{{workspaceName}}",
        (GROUP, PathPart("workspaceName", 4, 63)),
        (
            LOCATION,
            Property("retentionInDays", "integer", 30),
            Property("sku", "nested"),
            TAGS,
        ),
        (
            "azureApiVersion", "createdDate", "customerId", "etag", "modifiedDate", "name",
            "privateLinkScopedResources", "provisioningState", "systemData", "type",
        ),
        (
            "defaultDataCollectionRuleResourceId", "features", "forceCmkForQuery", "identity",
            "publicNetworkAccessForIngestion", "publicNetworkAccessForQuery", "workspaceCapping",
        ),
    ),
)  # fmt: skip
