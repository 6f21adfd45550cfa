"""Maps each resource type to the code that implements it."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.azure.cloud import Cloud
from dstream_sandbox.azure.container_app_types import CONTAINER_APP_TYPES
from dstream_sandbox.azure.diagnostics import DiagnosticSettings
from dstream_sandbox.azure.entities import QUEUES, SUBSCRIPTIONS, TOPICS, Entities
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.azure.network import DnsZoneGroups, NetworkRules, PrivateEndpoints
from dstream_sandbox.azure.policies import Policies
from dstream_sandbox.azure.role_assignments import RoleAssignments
from dstream_sandbox.azure.rules_of_subscriptions import DefaultRules, Rules
from dstream_sandbox.azure.stored import StoredResources

__all__ = ["handlers"]


class _Groups:
    def __init__(self, cloud: Cloud) -> None:
        self.read = cloud.read_group
        self._cloud = cloud
        self.delete = cloud.delete_group

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self._cloud.create_group(place, _settings(place, inputs))

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self._cloud.update_group(place, _settings(place, inputs))


class _Namespaces:
    def __init__(self, cloud: Cloud) -> None:
        self.read = cloud.read_namespace
        self._cloud = cloud
        self.delete = cloud.delete_namespace

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self._cloud.create_namespace(place, _settings(place, inputs))

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self._cloud.update_namespace(place, _settings(place, inputs))


def handlers(cloud: Cloud) -> dict[str, Handler]:
    """Handlers by type token."""
    policies = Policies(cloud)
    scopes: dict[str, Handler] = {
        "azure-native:resources:ResourceGroup": _Groups(cloud),
        "azure-native:servicebus:Namespace": _Namespaces(cloud),
        "azure-native:servicebus:Queue": Entities(cloud, QUEUES),
        "azure-native:servicebus:Topic": Entities(cloud, TOPICS),
        "azure-native:servicebus:Subscription": Entities(cloud, SUBSCRIPTIONS),
        "azure-native:servicebus:Rule": Rules(cloud),
        "azure-native:servicebus:DefaultRule": DefaultRules(cloud),
        "azure-native:servicebus:NamespaceAuthorizationRule": policies,
        "azure-native:servicebus:QueueAuthorizationRule": policies,
        "azure-native:servicebus:TopicAuthorizationRule": policies,
        **{each.token: StoredResources(cloud) for each in CONTAINER_APP_TYPES},
    }
    endpoints = PrivateEndpoints(cloud)
    return {
        **scopes,
        "azure-native:servicebus:NamespaceNetworkRuleSet": NetworkRules(cloud),
        "azure-native:network:PrivateEndpoint": endpoints,
        "azure-native:network:PrivateDnsZoneGroup": DnsZoneGroups(cloud, endpoints),
        "azure-native:authorization:RoleAssignment": RoleAssignments(cloud, scopes),
        "azure-native:monitor:DiagnosticSetting": DiagnosticSettings(cloud, scopes),
    }


def _settings(place: Place, inputs: Mapping[str, object]) -> dict[str, object]:
    """The inputs, with the defaults that ARM returns."""
    given = ((each.name, inputs.get(each.name, each.default)) for each in place.type.properties)
    return {name: value for name, value in given if value is not None}
