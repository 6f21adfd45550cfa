"""The azure-native functions that programs call: resource lookups, key lists, the client's identity."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.azure.cloud import Cloud
from dstream_sandbox.azure.container_app_types import CONTAINER_APP_TYPES
from dstream_sandbox.azure.errors import AzureError, not_found
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place, place_of
from dstream_sandbox.azure.interference import Interference
from dstream_sandbox.azure.policies import Policies
from dstream_sandbox.azure.resource_types import TYPES, ResourceType

__all__ = ["FUNCTIONS", "Functions", "UnknownFunction"]

_NOBODY = "00000000-0000-0000-0000-000000000000"
_CLIENT = "azure-native:authorization:getClientConfig"
_CLIENT_TOKEN = "azure-native:authorization:getClientToken"
_GETTERS = {
    "azure-native:monitor:getDiagnosticSetting": "azure-native:monitor:DiagnosticSetting",
    "azure-native:network:getPrivateDnsZoneGroup": "azure-native:network:PrivateDnsZoneGroup",
    "azure-native:network:getPrivateEndpoint": "azure-native:network:PrivateEndpoint",
    "azure-native:authorization:getRoleAssignment": "azure-native:authorization:RoleAssignment",
    "azure-native:resources:getResourceGroup": "azure-native:resources:ResourceGroup",
    **{each.token.replace(":", ":get").replace(":get", ":", 1): each.token for each in CONTAINER_APP_TYPES},
    **{
        f"azure-native:servicebus:get{name}": f"azure-native:servicebus:{name}"
        for name in (
            "Namespace", "Queue", "Topic", "Subscription", "Rule", "NamespaceAuthorizationRule",
            "QueueAuthorizationRule", "TopicAuthorizationRule", "NamespaceNetworkRuleSet",
        )
    },
}  # fmt: skip
_KEYS = {
    f"azure-native:servicebus:list{of}Keys": f"azure-native:servicebus:{of}AuthorizationRule"
    for of in ("Namespace", "Queue", "Topic")
}
FUNCTIONS = frozenset((*_GETTERS, *_KEYS, _CLIENT, _CLIENT_TOKEN))


class UnknownFunction(Exception):
    pass


class Functions:
    def __init__(self, cloud: Cloud, handlers: Mapping[str, Handler], interference: Interference, token: str) -> None:
        self._handlers = handlers
        self._interference = interference
        self._token = token
        self._policies = Policies(cloud)

    async def call(self, token: str, subscription: str, args: Mapping[str, object]) -> dict[str, object]:
        """Call a function. Keys are in plain text, as in azure-native, which marks no function result as secret
        (provider.go, Invoke); programs must do so (`pulumi.Output.secret`). Raises AzureError, UnknownFunction."""
        if token == _CLIENT:
            return {"clientId": _NOBODY, "objectId": _NOBODY, "subscriptionId": subscription, "tenantId": _NOBODY}
        if token == _CLIENT_TOKEN:
            return {"token": self._token}
        if token not in FUNCTIONS:
            raise UnknownFunction(
                f"the sandbox does not emulate the function {token}; docs/operations/sandbox.md lists the emulated ones"
            )
        kind = TYPES[_KEYS.get(token) or _GETTERS[token]]
        place = _place(kind, subscription, args)
        try:
            return await self._keys(place) if token in _KEYS else self._get(place)
        except AzureError as exc:
            raise AzureErrorOfFunction(place.id, exc) from exc

    async def _keys(self, place: Place) -> dict[str, object]:
        """listKeys is an action: the role Reader (`*/read`) does not include it (Microsoft: Azure built-in roles)."""

        async def found() -> None:
            """The keys are read below."""

        await self._interference.around("list_keys", place, found)
        return self._policies.keys(place)

    def _get(self, place: Place) -> dict[str, object]:
        found = self._handlers[place.type.token].read(place)
        if found is None:
            raise not_found(place.type.arm_type, place.name, place.group)
        common = {"azureApiVersion": place.type.api_version, "name": place.name, "type": place.type.arm_type}
        return {"id": place.id, **found.settings, **found.outputs, **common}


class AzureErrorOfFunction(AzureError):
    """azure-native's wording: `request failed <id>: ...`."""

    def __init__(self, resource_id: str, error: AzureError) -> None:
        Exception.__init__(self, f"request failed {resource_id}: {error}")
        self.status, self.code = error.status, error.code


def _place(kind: ResourceType, subscription: str, args: Mapping[str, object]) -> Place:
    missing = [part.name for part in kind.parts if not args.get(part.name)]
    if missing:
        raise UnknownFunction(f"missing required property '{missing[0]}'")
    return place_of(kind, subscription, args)
