"""The role assignments of a namespace, as the rights of identities to send and receive.

Role definitions: Microsoft, "Azure built-in roles", Integration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dstream_sandbox.azure.ids import place_of_id
from dstream_sandbox.azure.records import Records, RoleAssignmentRecord
from dstream_sandbox.azure.resource_types import TYPES
from dstream_sandbox.servicebus.access import Right
from dstream_sandbox.servicebus.entra import Role

__all__ = ["data_roles"]

_RIGHTS: dict[str, frozenset[Right]] = {
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": frozenset(("Send",)),
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": frozenset(("Listen",)),
    "090c5cfd-751d-490a-894a-3ce6f1109419": frozenset(("Send", "Listen", "Manage")),
}
_SCOPES = ("Namespace", "Queue", "Topic", "Subscription")


def data_roles(records: Records, namespace: str) -> Callable[[], Iterator[Role]]:
    """Return a function that reads the current roles."""

    def roles() -> Iterator[Role]:
        for each in records.role_assignments.values():
            rights = _RIGHTS.get(str(each.settings["roleDefinitionId"]).rpartition("/")[2].lower())
            path = _path(each, namespace)
            if rights is not None and path is not None:
                yield Role(str(each.settings["principalId"]), rights, path)

    return roles


def _path(assignment: RoleAssignmentRecord, namespace: str) -> str | None:
    """The path of the entity; None for a scope outside the namespace."""
    for kind in _SCOPES:
        place = place_of_id(TYPES[f"azure-native:servicebus:{kind}"], assignment.scope)
        if place is not None and place.namespace.lower() == namespace.lower():
            return "" if kind == "Namespace" else place.entity_path.lower()
    return None
