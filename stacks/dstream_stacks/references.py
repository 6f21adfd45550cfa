"""References between resources of a program, so that the engine knows the dependencies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dstream_stacks.declarations import Declaration

if TYPE_CHECKING:
    import pulumi

_FORWARDS = ("forwardTo", "forwardDeadLetteredMessagesTo")


class References:
    """The resources declared so far, and their names as outputs."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, str], ...], Any] = {}
        self._resources: dict[tuple[tuple[str, str], ...], pulumi.Resource | None] = {}

    def add(self, declaration: Declaration, name: Any, resource: pulumi.Resource | None = None) -> None:
        """Register a declared resource. `name`: an output that is known once the resource exists."""
        self._names[_path(declaration)] = name
        self._resources[_path(declaration)] = resource

    def deleted_with(self, declaration: Declaration) -> pulumi.Resource | None:
        """Return a rule's subscription: the rule is not deleted by itself if its subscription is deleted or retained.

        Deleting the rules first would let a subscription receive, and forward, what they kept out; and a retained one
        would be left without rules.
        """
        is_rule = declaration.kind in ("Rule", "DefaultRule")
        return self._resources.get(_path(declaration)[:-1]) if is_rule else None

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
