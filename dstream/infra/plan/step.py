"""One logical step of a plan or an update, and how it becomes what users see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dstream.sdk import Difference
from dstream.sdk._infrastructure import Operation


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one resource. A replacement is one step. Secrets are masked."""

    urn: str
    op: Operation
    diff: Sequence[Difference] = ()
    """In the properties' own paths: `maxDeliveryCount`, `tags.team`."""
    id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """As the program wants them; of a deletion as recorded."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Its last known real state: just read, when the command refreshes; else as recorded. Empty before it exists."""
    is_retained: bool = False
    """`retain_on_delete`: a deletion only forgets it."""

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def type(self) -> str:
        """The type token, without those of its parents: `azure-native:servicebus:Queue`."""
        return self.urn.split("::")[2].rpartition("$")[2]
