"""How an entity's own settings suit the task's. Pure. `run` checks it at the start, and `dstream doctor` when asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dstream_stacks.entities import EntityKind

from dstream_servicebus.config import Routing
from dstream_servicebus.publish.inspection import Inspected
from dstream_servicebus.retry import no_batches, session_required

Topic = Literal["sessions", "partitioning", "subscriptions", "duplicate_detection"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know about a setting. `message`: why it matters; empty if it does not."""

    topic: Topic
    state: str
    message: str = ""
    fix: str = ""


def check_entity(found: Inspected, routing: Routing, entity: str) -> None:
    """Raise ConfigError if Service Bus would refuse the task's messages."""
    kind: EntityKind = routing.names.kind
    if found.requires_session and routing.messages.session == "none":
        raise session_required(entity, kind)
    if found.partitioning and found.duplicate_detection == "on" and not routing.messages.have_partition_keys:
        raise no_batches(entity, kind)


def remarks(found: Inspected, routing: Routing, checkpoint_age: timedelta | None = None) -> Iterator[Remark]:
    """Yield what the settings mean for the task. `checkpoint_age`: None if there is no checkpoint.

    Sources: Microsoft, "Use of partition keys"; pull request 153 of azure-service-bus-emulator-installer (a topic keeps
    no messages for later subscriptions).
    """
    if routing.messages.session != "none" and found.requires_session is False and routing.names.kind == "queue":
        yield Remark(
            "sessions",
            "off",
            "the queue has no sessions: consumers may receive the events of a session out of order",
            'Replace the queue by one with sessions, or set session = "none".',
        )
    if found.partitioning and not routing.messages.have_partition_keys:
        yield Remark(
            "partitioning",
            "on",
            "consumers receive events out of order: without a session or partition key, sends go to any partition",
            "Set session or partition_key, or publish to an entity without partitions.",
        )
    if found.subscriptions == 0:
        yield Remark(
            "subscriptions",
            "none",
            "the topic has no subscriptions: Service Bus accepts events and keeps none of them",
            "Create a subscription. To send earlier events again: dstream run TASK --reset",
        )
    if found.duplicate_detection == "off":
        yield Remark(
            "duplicate_detection",
            "off",
            "events resent after a crash appear twice, with the same message id",
            "`dstream plan` shows how to turn it on.",
        )
    elif found.duplicate_detection == "unknown":
        yield Remark("duplicate_detection", f"unknown, {found.unknown_because}")
    elif found.duplicate_window is not None and checkpoint_age is not None and checkpoint_age > found.duplicate_window:
        yield Remark(
            "duplicate_detection",
            f"on for {found.duplicate_window}",
            f"the checkpoint is older, {_rounded(checkpoint_age)}: events that were sent after it and are sent again "
            "appear twice, with the same message id",
            "Nothing, if consumers ignore repeated message ids. To avoid it, run the task more often than that.",
        )
    else:
        yield Remark("duplicate_detection", f"on for {found.duplicate_window}" if found.duplicate_window else "on")


def advice_on_younger(found: Inspected, younger: Collection[str], entity: str) -> str:
    """Return how to send the changes again that these entities lack: `entity`, or some subscriptions of it."""
    advice = "to send them again, stop the run and start it with --reset"
    if entity in younger or found.duplicate_detection != "on":
        return advice
    return (
        f"{advice}, but not before {found.duplicate_window or 'the duplicate detection window'} has passed: "
        "until then, the topic's duplicate detection drops them"
    )


def age_of(moment: datetime | None, now: datetime) -> timedelta | None:
    return None if moment is None else now - moment


def _rounded(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))
