"""Reads the settings of entities that affect a run's guarantees. Needs the Manage claim."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_stacks.entities import EntityKind

from dstream_servicebus.retry import reason


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the administration endpoint returns for an entity."""

    duplicate_detection: Literal["on", "off", "unknown"]
    duplicate_window: datetime.timedelta | None = None
    requires_session: bool | None = None
    """For a queue; the subscriptions of a topic have this setting instead. None if unknown."""
    partitioning: bool | None = None
    """None if unknown."""
    subscriptions: int | None = None
    """Of a topic. None if unknown."""
    unknown_because: str = ""


def inspect(administration: ServiceBusAdministrationClient, entity: str, kind: EntityKind) -> Inspected:
    """Query the administration endpoint. Returns "unknown" for settings it cannot read; does not raise."""
    try:
        if kind == "queue":
            queue = administration.get_queue(entity)
            return Inspected(
                _on_off(queue.requires_duplicate_detection),
                queue.duplicate_detection_history_time_window
                if isinstance(queue.duplicate_detection_history_time_window, datetime.timedelta)
                else None,
                bool(queue.requires_session),
                bool(queue.enable_partitioning),
            )
        topic = administration.get_topic(entity)
        return Inspected(
            _on_off(topic.requires_duplicate_detection),
            topic.duplicate_detection_history_time_window
            if isinstance(topic.duplicate_detection_history_time_window, datetime.timedelta)
            else None,
            partitioning=bool(topic.enable_partitioning),
            subscriptions=administration.get_topic_runtime_properties(entity).subscription_count,
        )
    except ClientAuthenticationError:
        return Inspected("unknown", unknown_because="requires the Manage claim")
    except ResourceNotFoundError:
        return Inspected("unknown", unknown_because="not found at the administration endpoint")
    except HttpResponseError as error:
        because = "requires the Manage claim" if error.status_code in (401, 403) else reason(error)
        return Inspected("unknown", unknown_because=because)
    except AzureError as error:
        return Inspected("unknown", unknown_because=reason(error))


def created_after(
    administration: ServiceBusAdministrationClient, entity: str, kind: EntityKind, moment: datetime.datetime
) -> list[tuple[str, datetime.datetime]]:
    """Return the entity and its subscriptions that were created later than `moment`, with their times. Empty if the
    administration endpoint does not tell; does not raise."""
    try:
        return [(name, at) for name, at in _created(administration, entity, kind) if at is not None and at > moment]
    except AzureError:
        return []


def _created(
    administration: ServiceBusAdministrationClient, entity: str, kind: EntityKind
) -> Iterator[tuple[str, datetime.datetime | None]]:
    if kind == "queue":
        yield entity, administration.get_queue_runtime_properties(entity).created_at_utc
        return
    yield entity, administration.get_topic_runtime_properties(entity).created_at_utc
    for each in administration.list_subscriptions_runtime_properties(entity):
        yield f"{entity}/{each.name}", each.created_at_utc


def _on_off(flag: bool | None) -> Literal["on", "off", "unknown"]:
    return "unknown" if flag is None else "on" if flag else "off"
