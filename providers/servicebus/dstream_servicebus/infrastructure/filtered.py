"""Subscriptions that do not receive every message. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dstream_stacks.declarations import declarations
from dstream_stacks.spec import ServiceBusSpec

from dstream.infra import Step

_EVERYTHING = {"sqlFilter": {"sqlExpression": "1=1"}}


def filtered_subscriptions(spec: ServiceBusSpec) -> frozenset[tuple[str, ...]]:
    """Return the topics and names of the subscriptions that do not receive every message unchanged."""
    defaults = (each for each in declarations(spec) if each.kind == "DefaultRule" and each.inputs != _EVERYTHING)
    return frozenset(tuple(each.path.values())[:2] for each in defaults)


def unfiltered_at_first(filtered: Collection[tuple[str, ...]], steps: Iterable[Step]) -> str:
    """Return a warning about the new filtered subscriptions of topics that exist; empty without any.

    Azure Resource Manager creates every subscription with a rule that matches everything (SBSubscriptionProperties,
    2026-01-01, has no other).
    """
    made = {(each.type.rpartition(":")[2], each.name) for each in steps if each.op in ("create", "replace")}
    names = [f"{topic}/{name}" for topic, name in sorted(filtered) if ("Topic", topic) not in made]
    new = [name for name in names if ("Subscription", name) in made]
    if not new:
        return ""
    return f"Until their rules exist, new subscriptions receive every message sent to their topic: {', '.join(new)}."
