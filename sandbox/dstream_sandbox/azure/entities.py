"""Queues, topics and subscriptions: made, read, changed and deleted in the broker itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dstream_sandbox.azure.cloud import Cloud, Found, moment
from dstream_sandbox.azure.descriptions import check_tier, described, settings_of
from dstream_sandbox.azure.errors import AzureError, already_exists, bad_request, conflict, parent_not_found
from dstream_sandbox.azure.ids import Place
from dstream_sandbox.servicebus.broker import EntityExists, EntityInvalid, EntityMissing
from dstream_sandbox.servicebus.broker.descriptions import QueueDescription, SubscriptionDescription, TopicDescription
from dstream_sandbox.servicebus.broker.management import Management
from dstream_sandbox.servicebus.broker.namespace import Node, TopicNode
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["Queues", "Subscriptions", "Topics", "entities_at", "service_errors"]

_NEVER = "0001-01-01T00:00:00Z"


class Queues:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        entities = entities_at(self._cloud, place)
        node = entities and entities.namespace.queues.get(place.names["queueName"].lower())
        return _found(self._cloud, place, node) if node else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place):
            raise already_exists(place.id)
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            await entities.create_queue(place.name, described(place.type, inputs, QueueDescription(), tier))

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place) is None:
            await self.create(place, inputs)
            return
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            start = entities.queue(place.name).description
            await entities.update_queue(place.name, described(place.type, inputs, start, tier))

    async def delete(self, place: Place) -> None:
        if self.read(place):
            with service_errors(place):
                await self._cloud.running(place).broker.entities.delete_queue(place.name)


class Topics:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        entities = entities_at(self._cloud, place)
        node = entities and entities.namespace.topics.get(place.names["topicName"].lower())
        return _found(self._cloud, place, node) if node else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place):
            raise already_exists(place.id)
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            await entities.create_topic(place.name, described(place.type, inputs, TopicDescription(), tier))

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place) is None:
            await self.create(place, inputs)
            return
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            start = entities.topic(place.name).description
            await entities.update_topic(place.name, described(place.type, inputs, start, tier))

    async def delete(self, place: Place) -> None:
        if self.read(place):
            with service_errors(place):
                await self._cloud.running(place).broker.entities.delete_topic(place.name)


class Subscriptions:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def read(self, place: Place) -> Found | None:
        entities = entities_at(self._cloud, place)
        topic = entities and entities.namespace.topics.get(place.names["topicName"].lower())
        node = topic and topic.subscriptions.get(place.names["subscriptionName"].lower())
        return _found(self._cloud, place, node) if node else None

    async def create(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place):
            raise already_exists(place.id)
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            description = described(place.type, inputs, SubscriptionDescription(), tier)
            await entities.create_subscription(place.names["topicName"], place.name, description)

    async def update(self, place: Place, inputs: Mapping[str, object]) -> None:
        tier = _checked_tier(self._cloud, place, inputs)
        if self.read(place) is None:
            await self.create(place, inputs)
            return
        with service_errors(place):
            entities = self._cloud.running(place).broker.entities
            start = entities.subscription(place.names["topicName"], place.name).description
            changed = described(place.type, inputs, start, tier)
            await entities.update_subscription(place.names["topicName"], place.name, changed)

    async def delete(self, place: Place) -> None:
        if self.read(place):
            with service_errors(place):
                entities = self._cloud.running(place).broker.entities
                await entities.delete_subscription(place.names["topicName"], place.name)


def entities_at(cloud: Cloud, place: Place) -> Management | None:
    """None when the namespace is gone."""
    return cloud.running(place).broker.entities if cloud.find_namespace(place) else None


@contextmanager
def service_errors(place: Place) -> Iterator[None]:
    """The broker's refusals as ARM hands them on."""
    try:
        yield
    except EntityMissing as exc:
        raise parent_not_found(place.type.arm_type, place.parent_id) from exc
    except EntityExists as exc:
        raise conflict(str(exc)) from exc
    except EntityInvalid as exc:
        raise bad_request(str(exc)) from exc
    except AmqpError as exc:  # the store can't write
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
