"""One logical step of a plan or an update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from dstream.sdk._infrastructure import Operation


class PropertyChange(NamedTuple):
    """One property's raw values, without display texts, so that a plan document stays valid if those change."""

    path: str
    old: Any = None
    new: Any = None


class PlannedStep(Protocol):
    """What a plan document keeps of a step."""

    @property
    def urn(self) -> str: ...
    @property
    def op(self) -> str: ...
    @property
    def diff(self) -> Sequence[PropertyChange]: ...


def deletes_nothing(steps: Iterable[PlannedStep]) -> bool:
    """Return whether the steps change something, but replace and delete nothing."""
    operations = {each.op for each in steps} - {"same", "refresh"}
    return bool(operations) and operations <= {"create", "update", "import"}


@dataclass(frozen=True, slots=True)
class Step:
    """The change to one resource. A replacement is one step. Secrets are masked."""

    urn: str
    op: Operation
    diff: Sequence[PropertyChange] = ()
    """Changes by property path: `maxDeliveryCount`, `tags.team`."""
    id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """As declared by the program; for a deletion, as recorded."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The last known actual state: as read if the command refreshes, otherwise as recorded. Empty before creation."""
    is_retained: bool = False
    """`retain_on_delete`: a deletion only removes it from the record."""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        """The type token, without those of its parents: `azure-native:servicebus:Queue`."""
        return self.urn.split("::")[2].rpartition("$")[2]
