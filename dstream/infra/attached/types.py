"""Interfaces for custom resource types: the settings of a type, and how to create, read, update and delete resources.

Imports nothing from pulumi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

Values = Mapping[str, Any]
"""A property map of the engine: JSON values by name; in a preview also UNKNOWN."""

Kind = Literal["string", "integer", "number", "boolean", "duration", "object", "map", "list"]
"""duration: ISO 8601 text without years and months (`PT1M`); object: with known fields; map: with any names."""


@dataclass(frozen=True, slots=True)
class Property:
    """One setting of a resource type."""

    kind: Kind
    required: bool = False
    replaces: bool = False
    """A change re-creates the resource because it cannot be made in place. True for all parts of its id."""
    defaults: tuple[Any, ...] = ()
    """The service's defaults. Several if they vary; removing the setting resets it to the first."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    """For numbers; for durations in seconds."""
    maximum: float | None = None
    fields: Mapping[str, Property] = field(default_factory=dict)
    """For objects."""


class Actual(NamedTuple):
    """The actual state of a resource."""

    settings: Values
    """Every readable setting, None if unset. Settings that cannot be read are omitted and never drift."""
    outputs: Values
    """Other values to record and pass to programs, such as counts. Their changes are not drift."""


class ResourceType(Protocol):
    """One type of resources. The engine calls it from several threads concurrently.

    Every method may raise ResourceFailed. Inputs have been checked against `properties`, and none is UNKNOWN except
    in `problems`.
    """

    @property
    def properties(self) -> Mapping[str, Property]: ...

    def problems(self, inputs: Values) -> Mapping[str, str]:
        """Return problems that `properties` cannot express: reasons by property. Values may be UNKNOWN."""

    def create(self, inputs: Values) -> tuple[str, Actual]:
        """Create it and return its id and actual state. Fail if it exists: it may belong to someone else."""

    def read(self, resource_id: str) -> Actual | None:
        """Return its actual state; None if it does not exist."""

    def update(self, resource_id: str, inputs: Values) -> Actual:
        """Apply `inputs` and return the actual state. A removed setting comes with its default, or None."""

    def delete(self, resource_id: str) -> None:
        """Delete it; succeed if it does not exist."""


class ResourceFailed(Exception):
    """An operation failed. The text gives the reason, in one line without secrets."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """Marks an output that the engine must encrypt and never show."""

    value: Any = field(repr=False)


class Unknown:
    """A value that is unknown until its source resource exists."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
