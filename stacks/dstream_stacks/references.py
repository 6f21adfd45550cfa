"""References between resources of a program, as outputs, so that the engine knows the dependencies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dstream_stacks.declarations import Declaration

_FORWARDS = ("forwardTo", "forwardDeadLetteredMessagesTo")


class References:
    """The name outputs of the resources declared so far."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, str], ...], Any] = {}

    def add(self, declaration: Declaration, name: Any) -> None:
        """Register a declared resource. `name`: an output that is known once the resource exists."""
        self._names[_path(declaration)] = name

    def parents(self, declaration: Declaration) -> dict[str, Any]:
        """The names of its parents, as outputs, so that replacing a topic replaces its subscriptions and rules."""
        path, names = _path(declaration), list(declaration.path.items())
        return {field: self._names.get(path[: depth + 1], name) for depth, (field, name) in enumerate(names[:-1])}

    def forwarding(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs, with forwarding targets in the same program as outputs, since they must exist first."""
        return {name: self._target(value) if name in _FORWARDS else value for name, value in inputs.items()}

    def _target(self, name: str) -> Any:
        for field in ("queueName", "topicName"):
            if (known := self._names.get(((field, name.lower()),))) is not None:
                return known
        return name


def _path(declaration: Declaration) -> tuple[tuple[str, str], ...]:
    """The path in lower case: a reference may differ in case."""
    return tuple((field, name.lower()) for field, name in declaration.path.items())
