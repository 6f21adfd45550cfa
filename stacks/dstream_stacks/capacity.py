"""Compares the capacity of a namespace's tier with the expected load of a task. Pure.

Basic and Standard: 1,000 credits per second per namespace; one per message sent, one per message received, one per
filter that a topic evaluates (Microsoft: "Throttling operations on Azure Service Bus", What are the credit limits?).
Premium has no credits; Microsoft observed about 4 MB/s in and out per messaging unit (Microsoft: "Service Bus Premium
and Standard messaging tiers").
"""

from __future__ import annotations

from dataclasses import dataclass

from dstream_stacks.declarations import rules_of
from dstream_stacks.properties import Tier
from dstream_stacks.spec import ServiceBusSpec, Topic

CREDITS_PER_S = 1_000
MB_PER_S_PER_UNIT = 4

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """The expected load over all entities."""

    rows_per_s: float
    row_bytes: int | None = None
    rows_per_message: int = 1
    """If packs are full."""


def capacity_lines(spec: ServiceBusSpec, load: Load | None) -> tuple[str, ...]:
    """Return the lines that `plan` shows: none if the tier is unknown, only the tier's capacity without a load."""
    tier = spec.namespace.tier if spec.namespace is not None else None
    if tier is None:
        return ()
    if tier == "Premium":
        return _premium(spec, load)
    return _credits(tier, spec, load)


def operations_per_message(spec: ServiceBusSpec) -> float:
    """Operations of the most expensive entity: one send, one receive per reader and, for topics, one per filter."""
    return max([2.0 for _ in spec.queues] + [_topic_operations(topic) for topic in spec.topics], default=1.0)


def transfers_per_message(spec: ServiceBusSpec) -> int:
    """Transfers of the most expensive entity: one in, and one out per reader."""
    return max([2 for _ in spec.queues] + [1 + len(topic.subscriptions) for topic in spec.topics], default=1)


def _credits(tier: Tier, spec: ServiceBusSpec, load: Load | None) -> tuple[str, ...]:
    limit = f"{tier} supports {CREDITS_PER_S:,} operations/s per namespace"
    if load is None:
        return (
            f"{limit}; each message sent, each message received and each filter evaluated by a topic counts as one.",
        )
    needed = load.rows_per_s / load.rows_per_message * operations_per_message(spec)
    lines = [f"{limit}; this task needs about {needed:,.0f}/s at {load.rows_per_s:,.6g} rows/s."]
    if needed > CREDITS_PER_S:
        lines.append(
            f"That is {needed / CREDITS_PER_S:,.1f} times the capacity of {tier}: Service Bus will throttle. "
            "Premium has no such limit."
        )
    return tuple(lines)


def _premium(spec: ServiceBusSpec, load: Load | None) -> tuple[str, ...]:
    units = (spec.namespace.capacity if spec.namespace is not None else None) or 1
    capacity = units * MB_PER_S_PER_UNIT
    limit = f"Premium with {units} messaging unit{'s' if units > 1 else ''} supports about {capacity:,} MB/s in and out"
    if load is None or load.row_bytes is None:
        return (f"{limit}.",)
    needed = load.rows_per_s * load.row_bytes * transfers_per_message(spec) / _MB
    lines = [
        f"{limit}; this task needs about {needed:,.3g} MB/s at {load.rows_per_s:,.6g} rows/s "
        f"of {load.row_bytes:,} bytes."
    ]
    if needed > capacity:
        lines.append(f"That is {needed / capacity:,.1f} times its capacity: add messaging units (capacity).")
    return tuple(lines)


def _topic_operations(topic: Topic) -> float:
    filters = sum(len(rules_of(subscription)) for subscription in topic.subscriptions)
    return 1.0 + len(topic.subscriptions) + filters
