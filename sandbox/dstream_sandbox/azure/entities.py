"""Queues, topics and subscriptions: created, read, changed and deleted in the broker itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dstream_sandbox.azure.cloud import Cloud, Found, moment
from dstream_sandbox.azure.descriptions import check_tier, described, settings_of
from dstream_sandbox.azure.errors import AzureError, already_exists, bad_request, conflict, parent_not_found
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.servicebus.broker import EntityExists, EntityInvalid, EntityMissing
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, SubscriptionDescription, TopicDescription
from dstream_sandbox.servicebus.broker.management import Management
from dstream_sandbox.servicebus.broker.namespace import Node, TopicNode
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["QUEUES", "SUBSCRIPTIONS", "TOPICS", "Entities", "entities_at", "service_errors"]

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class EntityKind:
    """The differences between queues, topics and subscriptions: names, defaults, and the broker's operations."""

    names: tuple[str, ...]
    default: Any
    """The broker's description with its default values."""
    find: Callable[..., Node]
    """Takes the management and the names. Raises EntityMissing."""
    create: Callable[..., Awaitable[object]]
    """Takes the management, the names and the description."""
    update: Callable[..., Awaitable[object]]
    delete: Callable[..., Awaitable[None]]


QUEUES = EntityKind(
    ("queueName",),
    QueueDescription(),
    Management.queue,
    Management.create_queue,
    Management.update_queue,
    Management.delete_queue,
)
TOPICS = EntityKind(
    ("topicName",),
    TopicDescription(),
    Management.topic,
    Management.create_topic,
    Management.update_topic,
    Management.delete_topic,
)
SUBSCRIPTIONS = EntityKind(
    ("topicName", "subscriptionName"),
    SubscriptionDescription(),
    Management.subscription,
    Management.create_subscription,
    Management.update_subscription,
    Management.delete_subscription,
)


class Entities:
    """All entities of one kind. Implements `Handler`."""

    def __init__(self, cloud: Cloud, kind: EntityKind) -> None:
        self._cloud = cloud
        self._kind = kind

    def read(self, place: Place) -> Found | None:
        node = self._node(place)
        return _found(self._cloud, place, node) if node else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self._node(place):
            raise already_exists(place.id)
        with service_errors(place):
            description = described(place.type, inputs, self._kind.default, tier)
            await self._kind.create(self._management(place), *self._names(place), description)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        node = self._node(place)
        if node is None:
            await self.create(place, inputs)
            return
        with service_errors(place):
            start: Any = node.description
            description = described(place.type, inputs, start, tier)
            await self._kind.update(self._management(place), *self._names(place), description)

    async def delete(self, place: Place) -> None:
        if self._node(place):
            with service_errors(place):
                await self._kind.delete(self._management(place), *self._names(place))

    def _node(self, place: Place) -> Node | None:
        entities = entities_at(self._cloud, place)
        try:
            return self._kind.find(entities, *self._names(place)) if entities else None
        except EntityMissing:
            return None

    def _management(self, place: Place) -> Management:
        return self._cloud.running(place).broker.entities

    def _names(self, place: Place) -> list[str]:
        return [place.names[name] for name in self._kind.names]


def entities_at(cloud: Cloud, place: Place) -> Management | None:
    """Return the broker's management, or None if the namespace does not exist."""
    return cloud.running(place).broker.entities if cloud.find_namespace(place) else None


@contextmanager
def service_errors(place: Place) -> Iterator[None]:
    """Raise the broker's errors as ARM reports them."""
    try:
        yield
    except EntityMissing as exc:
        raise parent_not_found(place.type.arm_type, place.parent_id) from exc
    except EntityExists as exc:
        raise conflict(str(exc)) from exc
    except EntityInvalid as exc:
        raise bad_request(str(exc)) from exc
    except AmqpError as exc:  # the store cannot write
        raise AzureError(500, "InternalServerError", exc.description) from exc


def _checked_tier(cloud: Cloud, place: Place, inputs: Mapping[str, object]) -> str:
    record = cloud.namespace(place)
    check_tier(place.type, inputs, record.name, record.tier)
    return record.tier


def _found(cloud: Cloud, place: Place, node: Node) -> Found:
    queue = node.queue
    active = 0 if isinstance(node, TopicNode) else len(queue.main.entries)
    counts = {
        "activeMessageCount": active,
        "deadLetterMessageCount": len(queue.dead.entries),
        "scheduledMessageCount": len(queue.scheduled),
        "transferMessageCount": 0,
        "transferDeadLetterMessageCount": len(queue.transfer_dead.entries),
    }
    outputs: dict[str, object] = {
        "accessedAt": moment(queue.accessed_at) if queue.accessed_at else _NEVER,
        "countDetails": counts,
        "createdAt": moment(node.created_at),
        "updatedAt": moment(node.updated_at),
        "location": cloud.namespace(place).settings.get("location"),
        "messageCount": sum(counts.values()),
        "sizeInBytes": node.size_bytes if isinstance(node, TopicNode) else queue.size_bytes,
        "subscriptionCount": len(node.subscriptions) if isinstance(node, TopicNode) else None,
    }
    return Found(
        settings_of(place.type, node.description), {n: v for n, v in outputs.items() if n in place.type.outputs}
    )
