"""Counts the messages that would be lost with a resource, from its actual outputs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

_KINDS = frozenset({"Queue", "Topic", "Subscription"})
_SCHEDULED = "scheduledMessageCount"


class HeldStep(Protocol):
    """The attributes of a plan step that are used here."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...


def messages_held(resource_type: str, outputs: Mapping[str, Any]) -> int | None:
    """Return the number of active, dead-lettered, scheduled and transferring messages. None if unknown.

    A topic itself only holds scheduled messages: the others are in its subscriptions, which are separate resources
    (`messages_below`). Namespaces, groups and rules hold no messages of their own.
    """
    package, _, kind = resource_type.rpartition(":")
    if not package.endswith(":servicebus") or kind not in _KINDS:
        return 0
    details = outputs.get("countDetails")
    counts: Mapping[str, Any] = details if isinstance(details, Mapping) else {}
    if kind == "Topic":
        return int(counts[_SCHEDULED]) if _SCHEDULED in counts else None
    if "messageCount" not in outputs and not counts:
        return None
    return max(int(outputs.get("messageCount") or 0), sum(int(count) for count in counts.values() if count))


def messages_below(topic: str, steps: Iterable[HeldStep]) -> int:
    """Return the messages in the topic's subscriptions among the steps, lost if the topic is deleted or replaced."""
    return sum(
        messages_held(step.type, step.outputs) or 0
        for step in steps
        if step.type.endswith(":Subscription") and step.name.startswith(f"{topic}/")
    )
