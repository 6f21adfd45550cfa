"""Registers the resources of a topic one after another, each once the one before it has been created or updated.

Service Bus refuses concurrent changes of one topic's subscriptions and rules ("Another conflicting operation is in
progress"; Azure/azure-service-bus-dotnet#371, Azure/azure-sdk-for-js#6276). And a subscription's `$Default` must not be
narrowed before the rules that replace it exist. `depends_on` would do both, but the engine records it: deleting one
subscription with `--target` would then delete those declared after it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from dstream_stacks.declarations import Declaration

if TYPE_CHECKING:
    import pulumi


class Turns:
    """The last registered resource of each topic."""

    def __init__(self) -> None:
        self._last: dict[str, pulumi.Resource] = {}

    def after_others(self, declaration: Declaration, value: Any) -> Any:
        """Return an input's value that resolves once the topic's earlier resources are done. It adds no dependency."""
        last = self._last.get(declaration.path.get("topicName", ""))
        return value if last is None else _once_registered(last, value)

    def add(self, declaration: Declaration, resource: pulumi.Resource) -> None:
        topic = declaration.path.get("topicName")
        if topic is not None:
            self._last[topic] = resource


async def _once_registered(resource: pulumi.Resource, value: Any) -> Awaitable[Any]:
    await resource.urn.future()
    return value  # type: ignore[no-any-return]
