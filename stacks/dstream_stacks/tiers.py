"""Finds what a tier does not support, for an existing namespace whose tier is not in the settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dstream_stacks.properties import EntityType, properties_of
from dstream_stacks.spec import Queue, ServiceBusSpec, Subscription, Topic


def unsupported(spec: ServiceBusSpec, tier: str) -> Iterator[tuple[str, str]]:
    """Yield the names of entities, each with the name of a setting that Azure would refuse in this tier."""
    for queue in spec.queues:
        yield from _settings("queue", queue, queue.name, tier)
    for topic in spec.topics:
        if tier == "Basic":
            yield topic.name, "topics"
        yield from _settings("topic", topic, topic.name, tier)
        for each in topic.subscriptions:
            yield from _settings("subscription", each, f"{topic.name}/{each.name}", tier)


def _settings(
    kind: EntityType, entity: Queue | Topic | Subscription, name: str, tier: str
) -> Iterator[tuple[str, str]]:
    for each in properties_of(kind):
        if getattr(entity, each.field) and tier not in each.tiers:
            yield name, each.name
