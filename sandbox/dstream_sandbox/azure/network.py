"""Network rules of namespaces, private endpoints and their DNS zone groups. They are checked, stored and returned, but
every client can still connect.

Sources: Microsoft, "Configure IP firewall rules for Azure Service Bus" and "Allow access to Azure Service Bus
namespaces via private endpoints"; "Microsoft.ServiceBus namespaces/networkRuleSets" and "Microsoft.Network
privateEndpoints". The rule set always exists: azure-native's create is a PUT without a check (pulumi-azure-native,
client_azcore.go, CanCreate, and issue 4064), and its delete a PUT of its default (pull request 4691). Its
publicNetworkAccess is the namespace's: a PUT without it keeps that (pull request 4832). Unconfirmed: the texts of the
refusals for other tiers, and of a subnet in a rule that does not exist.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from dstream_sandbox.azure.built_in import BUILT_IN
from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.errors import (
    AzureError,
    already_exists,
    bad_request,
    group_not_found,
    invalid_reference,
    parent_not_found,
)
from dstream_sandbox.azure.ids import Place, place_of_id
from dstream_sandbox.azure.records import NamespaceRecord, Records, StoredRecord
from dstream_sandbox.azure.resource_types import TYPES

__all__ = ["DnsZoneGroups", "NetworkRules", "PrivateEndpoints", "endpoints_in"]

_NAMESPACE = TYPES["azure-native:servicebus:Namespace"]
_ENDPOINT = TYPES["azure-native:network:PrivateEndpoint"]
_OPEN: Mapping[str, object] = {
    "defaultAction": "Allow",
    "ipRules": [],
    "trustedServiceAccessEnabled": False,
    "virtualNetworkRules": [],
}
_NETWORK = f"/resourcegroups/{BUILT_IN}/providers/microsoft.network"
_EXISTING = (
    f"{_NETWORK}/virtualnetworks/{BUILT_IN}/subnets/default",
    f"{_NETWORK}/privatednszones/privatelink.servicebus.windows.net",
)
_INACCESSIBLE = (
    "This update of networkRuleSets, sets zero IPRule and VirtualNetworkRules, and the DefaultAction is set to Deny."
    " This would render the namespace resources inaccessible for data-plane requests. If the intention was to restrict"
    " data-plane requests to private links only, please set the PublicNetworkAccess property to Disabled. Else either"
    " set the DefaultAction property to Allow OR add some allowed IPRules or VirtualNetworkRules in the update request."
)
"""Quoted in pulumi-azure-native issue 4064."""


class NetworkRules:
    """The rule set of each namespace."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        record = self._cloud.find_namespace(place)
        if record is None:
            return None
        access = record.settings.get("publicNetworkAccess") or "Enabled"
        settings = {**_OPEN, **record.network_rules, "publicNetworkAccess": access}
        return Found(settings, {"location": record.settings.get("location")})

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        await self.update(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        record = self._cloud.namespace(place)
        access = inputs.get("publicNetworkAccess")
        rules = {name: inputs[name] for name in _OPEN if inputs.get(name) is not None}
        _check_rules(record, rules, access, place.id)
        settings = {**record.settings, "publicNetworkAccess": access} if access else record.settings
        self._cloud.records.put_namespace(replace(record, network_rules=rules, settings=settings))

    async def delete(self, place: Place) -> None:
        if self._cloud.find_namespace(place) is not None:
            await self.update(place, {"defaultAction": "Allow"})


class PrivateEndpoints:
    def __init__(self, cloud: Cloud) -> None:
        self._records = cloud.records

    def read(self, place: Place) -> Found | None:
        record = self._records.stored.get(place.id.lower())
        if record is None:
            return None
        has_zones = any(each.startswith(f"{place.id}/privateDnsZoneGroups/".lower()) for each in self._records.stored)
        namespace = str(_connection(record.settings)["privateLinkServiceId"]).rpartition("/")[2]
        names = [{"fqdn": f"{namespace}.servicebus.windows.net", "ipAddresses": ["10.0.0.4"]}]
        return Found(
            {**record.settings, "customDnsConfigs": [] if has_zones else names},
            {"networkInterfaces": [{"id": _interface(place.id)}], "provisioningState": "Succeeded"},
        )

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        if self._records.group(place.group) is None:
            raise group_not_found(place.group)
        if self.read(place):
            raise already_exists(place.id)
        await self.update(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        names = ("location", "privateLinkServiceConnections", "subnet", "tags")
        settings = {name: inputs[name] for name in names if inputs.get(name) is not None}
        subnet = str(cast("Mapping[str, object]", settings.get("subnet", {})).get("id"))
        old = self._records.stored.get(place.id.lower())
        if old is not None and old.settings["subnet"] != settings.get("subnet"):
            raise AzureError(400, "BadRequest", f"The subnet of private endpoint {place.id} cannot be changed.")
        if not _exists(subnet):
            raise invalid_reference(subnet, place.id)
        self._check_connection(_connection(settings), place.id)
        self._records.put_stored(StoredRecord(place.id, settings))

    async def delete(self, place: Place) -> None:
        if place.id.lower() in self._records.stored:
            self._records.remove_stored_below(place.id)
            self._records.remove_stored(place.id)

    def _check_connection(self, connection: Mapping[str, Any], endpoint: str) -> None:
        service = str(connection.get("privateLinkServiceId"))
        place = place_of_id(_NAMESPACE, service)
        record = self._records.namespace(place.group, place.namespace) if place else None
        if record is None:
            raise invalid_reference(service, endpoint)
        if connection.get("groupIds") != ["namespace"]:
            raise AzureError(
                400, "BadRequest", f"The group ids of a Service Bus namespace are: namespace ({endpoint})."
            )
        if record.tier != "Premium":
            raise bad_request(f"Private endpoints are not supported in the '{record.tier}' tier.")


class DnsZoneGroups:
    def __init__(self, cloud: Cloud, endpoints: PrivateEndpoints) -> None:
        self._records = cloud.records
        self._endpoints = endpoints

    def read(self, place: Place) -> Found | None:
        record = self._records.stored.get(place.id.lower())
        return Found(record.settings, {"provisioningState": "Succeeded"}) if record else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        endpoint = place_of_id(_ENDPOINT, place.parent_id)
        if endpoint is None or self._endpoints.read(endpoint) is None:
            raise parent_not_found(place.type.arm_type, place.parent_id)
        if self.read(place):
            raise already_exists(place.id)
        await self.update(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        zones = cast("Sequence[Mapping[str, object]]", inputs.get("privateDnsZoneConfigs") or ())
        for each in zones:
            if not _exists(str(each.get("privateDnsZoneId"))):
                raise invalid_reference(str(each.get("privateDnsZoneId")), place.id)
        self._records.put_stored(StoredRecord(place.id, {"privateDnsZoneConfigs": list(zones)}))

    async def delete(self, place: Place) -> None:
        if place.id.lower() in self._records.stored:
            self._records.remove_stored(place.id)


def endpoints_in(records: Records, group: str) -> Iterator[dict[str, object]]:
    """The private endpoints in a resource group, as ARM lists them, each with the network interface that Azure adds."""
    for each in records.stored.values():
        place = place_of_id(_ENDPOINT, each.id)
        if place is not None and place.group.lower() == group.lower():
            yield {"id": each.id, "name": place.name, "type": _ENDPOINT.arm_type}
            interface = _interface(each.id)
            yield {"id": interface, "name": interface.rpartition("/")[2], "type": "Microsoft.Network/networkInterfaces"}


def _check_rules(record: NamespaceRecord, rules: Mapping[str, object], access: object, rule_set: str) -> None:
    subnets = cast("Sequence[Mapping[str, Any]]", rules.get("virtualNetworkRules") or ())
    if record.tier != "Premium" and (subnets or rules.get("trustedServiceAccessEnabled")):
        raise bad_request(f"Virtual network rules and trusted services are not supported in the '{record.tier}' tier.")
    for each in subnets:
        if not _exists(str(each["subnet"]["id"])):
            raise invalid_reference(str(each["subnet"]["id"]), rule_set)
    if rules.get("defaultAction") == "Deny" and not (subnets or rules.get("ipRules")) and access != "Disabled":
        raise AzureError(400, "InvalidNetworkRuleSetUpdate", _INACCESSIBLE)


def _connection(settings: Mapping[str, object]) -> Mapping[str, Any]:
    found = cast("Sequence[Mapping[str, Any]]", settings.get("privateLinkServiceConnections") or ({},))
    return found[0]


def _interface(endpoint: str) -> str:
    path, _, name = endpoint.rpartition("/privateEndpoints/")
    return f"{path}/networkInterfaces/{name}.nic.{uuid.uuid5(uuid.NAMESPACE_URL, endpoint.lower())}"


def _exists(resource_id: str) -> bool:
    """Whether it is the subnet or the private DNS zone that the sandbox has, in any subscription."""
    return re.sub("^/subscriptions/[^/]+", "", resource_id.lower()) in _EXISTING
