"""Resources of `dstream deploy`: checked, stored and returned. No container runs, and nothing is stored in storage.

Sources: "Microsoft.App containerApps" (secrets are write-only: a GET returns their names), Microsoft, "Containers in
Azure Container Apps" (pairs of CPU and memory) and "Manage secrets in Azure Container Apps"; that an environment with
apps is not deleted follows azure-container-apps issue 1012 (builders). Unconfirmed: the texts of the refusals.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from dstream_sandbox.azure.cloud import Cloud, Found, moment
from dstream_sandbox.azure.container_app_types import CONTAINER_APP_TYPES
from dstream_sandbox.azure.errors import (
    AzureError,
    already_exists,
    group_not_found,
    invalid_reference,
    parent_not_found,
)
from dstream_sandbox.azure.ids import Place, place_of_id
from dstream_sandbox.azure.records import Records, StoredRecord
from dstream_sandbox.azure.values import without

__all__ = ["StoredResources", "stored_in"]

_APP = "Microsoft.App/containerApps"
_NAMES = ("environmentName", "containerAppName", "resourceName", "accountName", "workspaceName")
_MOST_CPU = 4.0


class StoredResources:
    """All resources of one type."""

    def __init__(self, cloud: Cloud) -> None:
        self._records = cloud.records

    def read(self, place: Place) -> Found | None:
        record = self._records.stored.get(place.id.lower())
        if record is None:
            return None
        readable = {
            each.name: without(each.write_only, record.settings[each.name])
            for each in place.type.properties
            if each.name in record.settings
        }
        return Found(readable, _outputs(place, record))

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        if self._records.group(place.group) is None:
            raise group_not_found(place.group)
        if "/blobServices/" in place.id and place.id.rsplit("/", 4)[0].lower() not in self._records.stored:
            raise parent_not_found(place.type.arm_type, place.id.rsplit("/", 4)[0])
        if self.read(place):
            raise already_exists(place.id)
        await self.update(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        given = ((each.name, inputs.get(each.name, each.default)) for each in place.type.properties)
        settings = {name: value for name, value in given if value is not None}
        identity = settings.get("identity")
        if isinstance(identity, Mapping) and identity.get(
            "userAssignedIdentities"
        ):  # REST has a map, azure-native a list
            settings["identity"] = {**identity, "userAssignedIdentities": list(identity["userAssignedIdentities"])}
        if place.type.arm_type == _APP:
            self._check_app(place, settings)
        old = self._records.stored.get(place.id.lower())
        settings["createdAt"] = old.settings["createdAt"] if old else moment(time.time())
        self._records.put_stored(StoredRecord(place.id, settings))

    async def delete(self, place: Place) -> None:
        inside = [
            each
            for each in self._records.stored.values()
            if str(each.settings.get("managedEnvironmentId")).lower() == place.id.lower()
        ]
        if inside:
            raise AzureError(
                409,
                "ManagedEnvironmentHasContainerApps",
                f"The specified environment {place.name} cannot be deleted because it still contains {len(inside)}"
                " Container Apps.",
            )
        if place.id.lower() in self._records.stored:
            self._records.remove_stored_below(place.id)
            self._records.remove_stored(place.id)

    def _check_app(self, place: Place, settings: Mapping[str, Any]) -> None:
        identities = settings.get("identity", {}).get("userAssignedIdentities", ())
        for each in (settings.get("managedEnvironmentId"), *identities):
            if str(each).lower() not in self._records.stored:
                raise invalid_reference(str(each), place.id)
        containers = settings.get("template", {}).get("containers", ())
        secrets = {each["name"] for each in settings.get("configuration", {}).get("secrets", ())}
        for each in containers:
            _check_resources(each["resources"])
            used = {variable["secretRef"] for variable in each.get("env", ()) if "secretRef" in variable}
            if missing := sorted(used - secrets):
                raise AzureError(
                    400,
                    "ContainerAppSecretRefNotFound",
                    f"SecretRef '{missing[0]}' defined for container '{each['name']}' not found.",
                )


def stored_in(records: Records, group: str) -> Iterator[dict[str, object]]:
    """The top-level resources in a resource group, as ARM lists them."""
    for each in records.stored.values():
        for kind in CONTAINER_APP_TYPES:
            place = place_of_id(kind, each.id)
            if place is not None and place.group.lower() == group.lower() and kind.own_name in _NAMES:
                yield {"id": each.id, "name": place.name, "type": kind.arm_type}


def _check_resources(resources: Mapping[str, Any]) -> None:
    cpu, memory = float(resources["cpu"]), str(resources["memory"])
    if cpu % 0.25 or not 0 < cpu <= _MOST_CPU or float(memory.removesuffix("Gi")) != 2 * cpu:
        raise AzureError(
            400,
            "ContainerAppInvalidResourceTotal",
            f"The total requested CPU and memory resources for this application (CPU: {cpu}, memory: {memory}) is "
            "invalid.",
        )


def _outputs(place: Place, record: StoredRecord) -> dict[str, object]:
    match place.type.token.rpartition(":")[2]:
        case "UserAssignedIdentity":
            return {"clientId": _guid("client", place), "principalId": _guid("principal", place)}
        case "ContainerApp":
            identity = cast("Mapping[str, Any]", record.settings.get("identity") or {})
            ids = cast("Sequence[str]", identity.get("userAssignedIdentities") or ())
            nobody = {
                each: {"clientId": _guid("client", place), "principalId": _guid("principal", place)} for each in ids
            }
            return {
                "identity": {**identity, "userAssignedIdentities": dict.fromkeys(ids, nobody)},
                "latestRevisionName": f"{place.name}--{_guid(str(record.settings.get('template')), place)[:7]}",
                "provisioningState": "Succeeded",
                "runningStatus": "Running",
            }
        case "Workspace":
            return {"customerId": _guid("workspace", place), "provisioningState": "Succeeded"}
        case "StorageAccount":
            blob = f"https://{place.name}.blob.core.windows.net/"
            return {
                "creationTime": record.settings["createdAt"],
                "primaryEndpoints": {"blob": blob},
                "provisioningState": "Succeeded",
            }
        case "ManagedEnvironment":
            return {"defaultDomain": "sandbox.azurecontainerapps.io", "provisioningState": "Succeeded"}
    return {}


def _guid(what: str, place: Place) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{what}:{place.id.lower()}"))
