"""Diagnostic settings of namespaces: stored and returned; nothing is logged."""

from __future__ import annotations

from collections.abc import Mapping

from dstream_sandbox.azure.cloud import Cloud, Found
from dstream_sandbox.azure.errors import AzureError, already_exists, not_found
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place, place_of_id
from dstream_sandbox.azure.records import StoredRecord
from dstream_sandbox.azure.resource_types import TYPES

__all__ = ["DiagnosticSettings"]

_NAMESPACE = TYPES["azure-native:servicebus:Namespace"]


class DiagnosticSettings:
    def __init__(self, cloud: Cloud, namespaces: Handler) -> None:
        self._records = cloud.records
        self._namespaces = namespaces

    def read(self, place: Place) -> Found | None:
        record = self._records.stored.get(place.id.lower())
        return Found(record.settings) if record and self._has_namespace(place) else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        if not self._has_namespace(place):
            raise not_found(_NAMESPACE.arm_type, place.names["resourceUri"].rpartition("/")[2], place.group)
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

    def _has_namespace(self, place: Place) -> bool:
        namespace = place_of_id(_NAMESPACE, place.names["resourceUri"])
        return namespace is not None and self._namespaces.read(namespace) is not None
