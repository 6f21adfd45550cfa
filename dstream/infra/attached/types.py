"""What the author of resources of one's own writes: the settings of each type, and how one is made, read and removed.

Imports nothing of pulumi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

Values = Mapping[str, Any]
"""A property map as the engine knows it: JSON values by name, and UNKNOWN in a preview."""

Kind = Literal["string", "integer", "number", "boolean", "duration", "object", "map", "list"]
"""duration: text in ISO 8601 without years and months (`PT1M`); object: of known fields; map: with users' own names."""


@dataclass(frozen=True, slots=True)
class Property:
    """One setting of a resource type."""

    kind: Kind
    required: bool = False
    replaces: bool = False
    """A change makes a new resource: the real one can't take it. So do all parts of its id."""
    defaults: tuple[Any, ...] = ()
    """What the service takes where none is given. Several where that depends; the first is what one goes back to."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    """Of a number; of a duration in seconds."""
    maximum: float | None = None
    fields: Mapping[str, Property] = field(default_factory=dict)
    """Of an object."""


class Actual(NamedTuple):
    """A resource as it really is."""

    settings: Values
    """Every setting that can be read, with None for what is not set. What can't be read is left out: never drift."""
    outputs: Values
    """What else to record and to give to programs, such as figures; it may change on its own, and is no drift."""


class ResourceType(Protocol):
    """One type of resources. The engine asks from several threads at once.

    Every method may raise ResourceFailed. Inputs were checked against `properties`; none of them is unknown, but for
    those of `problems`.
    """

    @property
    def properties(self) -> Mapping[str, Property]: ...

    def problems(self, inputs: Values) -> Mapping[str, str]:
        """What is wrong that `properties` can't say: a reason by property. Values may be UNKNOWN."""

    def create(self, inputs: Values) -> tuple[str, Actual]:
        """Its id and what it is now. What exists already is refused: it may be somebody else's."""

    def read(self, resource_id: str) -> Actual | None:
        """None when it is not there."""

    def update(self, resource_id: str, inputs: Values) -> Actual:
        """Make it as `inputs` say. A setting that is to be as if never given comes with its default, or None."""

    def delete(self, resource_id: str) -> None:
        """What is gone already is no failure."""


class ResourceFailed(Exception):
    """Why something could not be done, in one line for people, without any secret."""


@dataclass(frozen=True, slots=True)
class SecretValue:
    """Marks an output that the engine must encrypt and never show."""

    value: Any = field(repr=False)


class Unknown:
    """A value that is only known once what it comes from exists."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
