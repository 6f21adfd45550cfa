"""How resources of one program refer to each other: by outputs, so that the engine knows what hangs on what. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dstream_stacks.declarations import Declaration

_FORWARDS = ("forwardTo", "forwardDeadLetteredMessagesTo")


class References:
    """The name outputs of what is declared so far."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, str], ...], Any] = {}

    def add(self, declaration: Declaration, name: Any) -> None:
        """`name`: the output that is only known once the resource is there."""
        self._names[tuple(declaration.path.items())] = name

    def parents(self, declaration: Declaration) -> dict[str, Any]:
        """The names of what it is below of. As outputs: when a topic is replaced, so is what is below it."""
        path = tuple(declaration.path.items())
        return {field: self._names.get(path[: depth + 1], name) for depth, (field, name) in enumerate(path[:-1])}

    def forwarding(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs, with forwarding targets of the same program as outputs: they must exist first."""
        return {name: self._target(value) if name in _FORWARDS else value for name, value in inputs.items()}

    def _target(self, name: str) -> Any:
        for field in ("queueName", "topicName"):
            if (known := self._names.get(((field, name),))) is not None:
                return known
        return name
