"""Diagnostic settings of namespaces and of environments of container apps: stored and returned; nothing is logged."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.errors import AzureError, already_exists, not_found
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place, place_of_id
from dstream_sandbox.azure.records import StoredRecord
from dstream_sandbox.azure.resource_types import TYPES

__all__ = ["DiagnosticSettings"]

_TYPES = [TYPES["azure-native:servicebus:Namespace"], TYPES["azure-native:app:ManagedEnvironment"]]


class DiagnosticSettings:
    def __init__(self, cloud: Cloud, resources: Mapping[str, Handler]) -> None:
        """`resources`: the handlers of what can have diagnostic settings, by type token."""
        self._records = cloud.records
        self._resources = resources

    def read(self, place: Place) -> Found | None:
        record = self._records.stored.get(place.id.lower())
        return Found(record.settings) if record and self._has_resource(place) else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        if not self._has_resource(place):
            raise not_found(_TYPES[0].arm_type, place.names["resourceUri"].rpartition("/")[2], place.group)
        if self.read(place):
            raise already_exists(place.id)
        await self.update(place, inputs)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        if not inputs.get("workspaceId"):
            raise AzureError(400, "BadRequest", "At least one data sink needs to be specified.")
        names = ("logs", "metrics", "workspaceId")
        settings = {name: inputs[name] for name in names if inputs.get(name) is not None}
        self._records.put_stored(StoredRecord(place.id, settings))

    async def delete(self, place: Place) -> None:
        if place.id.lower() in self._records.stored:
            self._records.remove_stored(place.id)

    def _has_resource(self, place: Place) -> bool:
        found = ((kind, place_of_id(kind, place.names["resourceUri"])) for kind in _TYPES)
        return any(each is not None and self._resources[kind.token].read(each) is not None for kind, each in found)
