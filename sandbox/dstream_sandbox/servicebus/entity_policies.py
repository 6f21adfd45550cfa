"""The shared access policies of queues and topics, for checking tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from dstream_sandbox.servicebus.access import Right, SharedKey
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.broker.namespace import QueueNode, TopicNode

__all__ = ["entity_policies"]


def entity_policies(broker: LocalBroker) -> Callable[[str], Sequence[SharedKey]]:
    """Return a function that returns the current policies of the entity at a path."""

    def policies(path: str) -> list[SharedKey]:
        node = broker.entities.namespace.find(path)
        if not isinstance(node, (QueueNode, TopicNode)):
            return []
        return [
            SharedKey(
                rule.key_name,
                (rule.primary_key, rule.secondary_key),
                frozenset(right for right in _RIGHTS if right in rule.rights),
                path,
            )
            for rule in node.description.authorization_rules
        ]

    return policies


_RIGHTS: tuple[Right, ...] = get_args(Right)
