"""How an emulated resource type is described: the parts of its id, its properties and their defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["GROUP", "GROUP_PATH", "LOCATION", "SCOPED", "TAGS", "Kind", "PathPart", "Property", "ResourceType"]

Kind = Literal[
    "text", "flag", "integer", "number", "duration", "location", "object", "nested", "objects", "map", "texts"
]
"""`nested`, `objects`: an object, or a list of them, that is stored as it is."""
SCOPED = ("{scope}", "{resourceUri}")
"""How the paths of resources begin that can be attached to any other resource: with the whole id of that one."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property that a program can set. If absent from a PUT, it becomes `default` (None: unset)."""

    name: str
    kind: Kind = "text"
    default: object = None
    attribute: str = ""
    """Its name in the broker's description; empty if the broker does not store it."""
    required: bool = False
    replaces: bool = False
    choices: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    """The properties of an object."""
    default_of: str = ""
    """The sibling property whose value is used if this one is unset."""
    write_only: tuple[str, str] | None = None
    """A list in a `nested` property, and the part of its items that the service stores and never returns."""


@dataclass(frozen=True, slots=True)
class PathPart:
    """A name in the resource's id. A different name means a different resource."""

    name: str
    min_length: int = 1
    max_length: int = 260
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class ResourceType:
    token: str
    api_version: str
    arm_type: str
    path: str
    """The path of its id below the subscription (or after its scope), with `{..}` for its parts."""
    parts: tuple[PathPart, ...]
    properties: tuple[Property, ...]
    outputs: tuple[str, ...]
    """Properties that only the service sets."""
    not_emulated: tuple[str, ...] = ()
    """Properties that are refused when set."""

    @property
    def own_name(self) -> str | None:
        """The part that names the resource itself; if omitted, a name is generated."""
        last = re.fullmatch(r".*\{(\w+)\}", self.path)
        return last[1] if last else None

    @property
    def located(self) -> bool:
        return any(each.kind == "location" for each in self.properties)

    def property(self, name: str) -> Property | None:
        return next((each for each in self.properties if each.name == name), None)


GROUP = PathPart("resourceGroupName", 1, 90)
GROUP_PATH = "/resourceGroups/{resourceGroupName}"
LOCATION = Property("location", "location", required=True, replaces=True)
TAGS = Property("tags", "map")
