"""Sends Azure's default for each setting of an entity that was removed from the configuration. Pure.

Service Bus applies its defaults to properties that a request omits (Azure/arm-template-whatif, issue 327), but not to
all of them in every client (Azure/azure-cli, issue 15132). An explicit value is certain, and the plan shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from dstream_stacks.ignorable import ignores
from dstream_stacks.properties import EntityType, Tier, properties_of
from dstream_stacks.spec import Queue, ServiceBusSpec, Subscription, Topic

_EntityT = TypeVar("_EntityT", Queue, Topic, Subscription)


def with_defaults_of_removed(
    spec: ServiceBusSpec, recorded: Iterable[tuple[str, str, Mapping[str, Any]]]
) -> ServiceBusSpec:
    """Return the spec for mode `arm`. `recorded`: the type token, name and inputs of each recorded resource."""
    tier = spec.namespace.tier if spec.namespace else None
    inputs = {(token.rpartition(":")[2].lower(), name): given for token, name, given in recorded}

    def reset(kind: EntityType, entity: _EntityT, name: str) -> _EntityT:
        defaults = _defaults(kind, entity, inputs.get((kind, name), {}), tier)
        return msgspec.structs.replace(entity, defaults=defaults)

    return msgspec.structs.replace(
        spec,
        queues=tuple(reset("queue", each, each.name) for each in spec.queues),
        topics=tuple(
            msgspec.structs.replace(
                reset("topic", topic, topic.name),
                subscriptions=tuple(
                    reset("subscription", each, f"{topic.name}/{each.name}") for each in topic.subscriptions
                ),
            )
            for topic in spec.topics
        ),
    )


def _defaults(
    kind: EntityType, entity: Queue | Topic | Subscription, recorded: Mapping[str, Any], tier: Tier | None
) -> dict[str, Any]:
    removed = [
        each
        for each in properties_of(kind)
        if each.azure in recorded and getattr(entity, each.field) is None and not each.replaces
    ]
    found = {each.azure: each.default_in(tier) for each in removed if not ignores(entity.ignore_changes, each.azure)}
    return {name: value for name, value in found.items() if value is not None}
