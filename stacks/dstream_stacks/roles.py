"""Names and definitions of role assignments. Pure.

Role definitions: Microsoft, "Azure built-in roles", Integration. A role assignment's name is a GUID that is unique in
the tenant; deriving it from what it grants makes it the same in every run (Microsoft, "Create Azure RBAC resources by
using Bicep": `guid(scope, principal, role)`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from dstream_stacks.spec import Role, RoleAssignment, ServiceBusSpec

_DEFINITIONS: Final[Mapping[Role, str]] = {
    "Sender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "Receiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
}


def role_definition_id(role: Role) -> str:
    """The id without the subscription in front, in which Azure returns it."""
    return f"/providers/Microsoft.Authorization/roleDefinitions/{_DEFINITIONS[role]}"


def role_name(definition_id: str) -> str | None:
    """`Azure Service Bus Data Sender`, from an id in any form. None for another role."""
    own = definition_id.rpartition("/")[2].lower()
    return next((f"Azure Service Bus Data {role}" for role, each in _DEFINITIONS.items() if each == own), None)


def assignment_name(spec: ServiceBusSpec, assignment: RoleAssignment) -> str:
    """A GUID that depends only on the entity, the role and the principal."""
    place = (spec.resource_group.name if spec.resource_group else "", spec.namespace.name if spec.namespace else "")
    entity = (assignment.queue, assignment.topic, assignment.subscription)
    granted = (*place, *entity, assignment.role, assignment.principal_id)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(granted).lower()))
