"""Role assignments on any emulated resource: who has which role, by principal and role definition.

Sources: Microsoft, "Assign Azure roles using the REST API" (a role assignment is named by a GUID) and "Troubleshoot
Azure RBAC" (RoleAssignmentExists, RoleAssignmentUpdateNotPermitted). Unconfirmed: the refusal of a scope that does not
exist, and what becomes of the role assignments of a deleted resource (here they are found again when a resource with
the same id is created).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from dstream_sandbox.azure.cloud import Cloud, Found, moment
from dstream_sandbox.azure.errors import AzureError, already_exists, not_found
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place, place_of_id
from dstream_sandbox.azure.records import RoleAssignmentRecord
from dstream_sandbox.azure.resource_types import TYPES

__all__ = ["RoleAssignments"]

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FIXED = ("principalId", "principalType", "roleDefinitionId")


class RoleAssignments:
    def __init__(self, cloud: Cloud, scopes: Mapping[str, Handler]) -> None:
        self._records = cloud.records
        self._scopes = scopes
        """The handlers of the resources that can be a scope, by type token."""

    def read(self, place: Place) -> Found | None:
        record = self._records.role_assignments.get(place.id.lower())
        if record is None or self._scope(record.scope) is None:
            return None
        at = moment(record.created_at)
        return Found({**record.settings, "scope": record.scope}, {"createdOn": at, "updatedOn": at})

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        if not _GUID.fullmatch(place.name):
            raise AzureError(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{place.name}' is not valid. The role assignment ID must be a GUID.",
            )
        scope = self._scope(place.names["scope"])
        if scope is None:
            raise not_found(_type_of(place.names["scope"]), place.names["scope"].rpartition("/")[2], place.group)
        if self.read(place):
            raise already_exists(place.id)
        record = RoleAssignmentRecord(place.id, place.names["scope"], _settings(inputs), time.time())
        for each in self._records.role_assignments.values():
            if _grant(each) == _grant(record) and self._scope(each.scope) is not None:
                known = each.id.rpartition("/")[2].replace("-", "")
                raise AzureError(
                    409,
                    "RoleAssignmentExists",
                    f"The role assignment already exists. The ID of the existing role assignment is {known}.",
                )
        self._records.put_role_assignment(record)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        old = self._records.role_assignments.get(place.id.lower())
        if old is None:
            await self.create(place, inputs)
            return
        new = _settings(inputs)
        if any(old.settings.get(name) != new.get(name) for name in _FIXED):
            raise AzureError(
                400,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        self._records.put_role_assignment(RoleAssignmentRecord(old.id, old.scope, new, old.created_at))

    async def delete(self, place: Place) -> None:
        if place.id.lower() in self._records.role_assignments:
            self._records.remove_role_assignment(place.id)

    def _scope(self, scope: str) -> Found | None:
        for token, handler in self._scopes.items():
            place = place_of_id(TYPES[token], scope)
            if place is not None and (found := handler.read(place)):
                return found
        return None


def _grant(record: RoleAssignmentRecord) -> tuple[str, ...]:
    """What it grants: Azure keeps it once."""
    given = (record.scope, record.settings["principalId"], record.settings["roleDefinitionId"])
    return tuple(str(each).lower() for each in given)


def _settings(inputs: Mapping[str, object]) -> dict[str, object]:
    """The inputs, with the default that azure-native sets."""
    names = ("description", *_FIXED)
    return {"principalType": "User", **{name: inputs[name] for name in names if inputs.get(name) is not None}}


def _type_of(scope: str) -> str:
    """`Microsoft.ServiceBus/namespaces/queues` of a queue's id."""
    namespace, *names = scope.rpartition("/providers/")[2].split("/")
    return "/".join((namespace, *names[::2]))
