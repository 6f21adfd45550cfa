"""The shared access policies that queues and topics carry themselves, for the check of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from dstream_sandbox.servicebus.access import Right, SharedKey
from dstream_sandbox.servicebus.broker import LocalBroker
from dstream_sandbox.servicebus.broker.namespace import QueueNode, TopicNode

__all__ = ["entity_policies"]


def entity_policies(broker: LocalBroker) -> Callable[[str], Sequence[SharedKey]]:
    """A function that gives the policies of the entity at a path, as they are when it is asked."""

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
