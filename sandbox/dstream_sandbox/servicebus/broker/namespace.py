"""The entities of a namespace in memory, found by path. Paths are case-insensitive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dstream_sandbox.servicebus.broker.descriptions import (
    QueueDescription,
    RuleDescription,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.broker.duplicates import DuplicateHistory
from dstream_sandbox.servicebus.broker.lane import Lane
from dstream_sandbox.servicebus.broker.queue import MessageQueue
from dstream_sandbox.servicebus.core import AmqpError
from dstream_sandbox.servicebus.filters.rule import CompiledRule

__all__ = ["Namespace", "Node", "Place", "QueueNode", "RuleNode", "SubscriptionNode", "TopicNode"]

_DEAD = "/$deadletterqueue"
_TRANSFER_DEAD = "/$transfer/$deadletterqueue"
_SUBSCRIPTIONS = "/subscriptions/"


@dataclass(slots=True)
class RuleNode:
    id: int
    description: RuleDescription
    rule: CompiledRule


@dataclass(slots=True, eq=False)
class QueueNode:
    id: int
    name: str
    description: QueueDescription
    created_at: float
    updated_at: float
    queue: MessageQueue
    history: DuplicateHistory | None = None

    @property
    def path(self) -> str:
        return self.name


@dataclass(slots=True, eq=False)
class SubscriptionNode:
    id: int
    name: str
    topic_name: str
    description: SubscriptionDescription
    created_at: float
    updated_at: float
    queue: MessageQueue
    rules: dict[str, RuleNode] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{self.topic_name}/Subscriptions/{self.name}"


@dataclass(slots=True, eq=False)
class TopicNode:
    """A topic. `queue` holds its scheduled messages, which reach the subscriptions when they are due."""

    id: int
    name: str
    description: TopicDescription
    created_at: float
    updated_at: float
    queue: MessageQueue
    history: DuplicateHistory | None = None
    subscriptions: dict[str, SubscriptionNode] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.name

    @property
    def size_bytes(self) -> int:
        return self.queue.size_bytes + sum(s.queue.size_bytes for s in self.subscriptions.values())


Node = QueueNode | TopicNode | SubscriptionNode


@dataclass(frozen=True, slots=True)
class Place:
    """The node, queue and lane that a path refers to. A topic has no lane."""

    node: Node
    queue: MessageQueue
    lane: Lane | None


class Namespace:
    def __init__(self) -> None:
        self.queues: dict[str, QueueNode] = {}
        self.topics: dict[str, TopicNode] = {}
        self._places: dict[str, Place] = {}

    def nodes(self) -> Iterator[Node]:
        yield from self.queues.values()
        for topic in self.topics.values():
            yield topic
            yield from topic.subscriptions.values()

    def changed(self) -> None:
        """Call after entities were created or deleted, to resolve paths again."""
        self._places.clear()

    def find(self, path: str) -> Node | None:
        """Return the entity, or None if it does not exist."""
        low = path.strip("/").lower()
        if found := self.queues.get(low) or self.topics.get(low):
            return found
        topic, separator, name = low.rpartition(_SUBSCRIPTIONS)
        if separator and topic in self.topics:
            return self.topics[topic].subscriptions.get(name)
        return None

    def place(self, path: str) -> Place:
        """Return the place of a path. Raises AmqpError amqp:not-found."""
        place = self._places.get(path)
        if place is None:
            place = self._places[path] = self._look_up(path)
        return place

    def _look_up(self, path: str) -> Place:
        low = path.strip("/").lower()
        for suffix, lane_name in ((_TRANSFER_DEAD, "transfer_dead"), (_DEAD, "dead"), ("", "main")):
            if not low.endswith(suffix):
                continue
            node = self.find(low.removesuffix(suffix))
            if node is None or (suffix and isinstance(node, TopicNode)):
                break
            lane = None if isinstance(node, TopicNode) else getattr(node.queue, lane_name)
            return Place(node, node.queue, lane)
        # The service's wording, as quoted in issues of its SDKs.
        raise AmqpError("amqp:not-found", f"The messaging entity '{path}' could not be found.")
