"""Resource ids: paths whose parts compare case-insensitively (ARM, "Resource ID")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dstream_sandbox.azure.resource_types import SCOPED, ResourceType

__all__ = ["Place", "place_of", "place_of_id"]


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a resource: the names in its id, as written."""

    type: ResourceType
    subscription: str
    names: Mapping[str, str]

    @property
    def id(self) -> str:
        path = self.type.path.format_map(self.names)
        return path if self.type.path.startswith(SCOPED) else f"/subscriptions/{self.subscription}{path}"

    @property
    def parent_id(self) -> str:
        return self.id.rsplit("/", 2)[0]

    @property
    def name(self) -> str:
        own = self.type.own_name
        return self.names[own] if own else self.type.path.rpartition("/")[2]

    @property
    def group(self) -> str:
        if scope := self.names.get("scope") or self.names.get("resourceUri"):
            return re.split("/resourceGroups/", scope, maxsplit=1, flags=re.IGNORECASE)[-1].split("/")[0]
        return self.names["resourceGroupName"]

    @property
    def namespace(self) -> str:
        return self.names["namespaceName"]

    @property
    def entity_path(self) -> str:
        """The display name: `orders`, `events/Subscriptions/audit`; for groups and namespaces, the name."""
        names = self.names
        entity = names.get("queueName") or names.get("topicName")
        if entity is None:
            return self.name
        if subscription := names.get("subscriptionName"):
            entity += f"/Subscriptions/{subscription}"
        leaf = {"rules": "Rules", "authorizationRules": "AuthorizationRules"}.get(self.id.rsplit("/", 2)[1])
        return f"{entity}/{leaf}/{self.name}" if leaf else entity


def place_of(kind: ResourceType, subscription: str, inputs: Mapping[str, object]) -> Place:
    """Return the resource's place. Raises KeyError for a missing name, which `checks` has refused before."""
    return Place(kind, subscription, {part.name: str(inputs[part.name]) for part in kind.parts})


def place_of_id(kind: ResourceType, resource_id: str) -> Place | None:
    """Return the resource's place, or None for an id of another resource type."""
    path, start = kind.path, "/subscriptions/(?P<subscription>[^/]+)"
    for scope in SCOPED:
        if path.startswith(scope):
            path, start = path.removeprefix(scope), f"(?P<{scope.strip('{}')}>{start}/.+)"
    literal = re.split(r"\{(\w+)\}", path)
    pattern = "".join(f"(?P<{text}>[^/]+)" if odd % 2 else re.escape(text) for odd, text in enumerate(literal))
    match = re.fullmatch(f"{start}{pattern}/?", resource_id, re.IGNORECASE)
    if match is None:
        return None
    names = match.groupdict()
    return Place(kind, names.pop("subscription"), names)
