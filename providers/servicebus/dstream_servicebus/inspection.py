"""What the entities' own settings say about the promises of a run, where we may read them (the Manage claim)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_stacks.entities import EntityKind

from dstream_servicebus.retry import reason


@dataclass(frozen=True, slots=True)
class Inspected:
    """An entity as administered."""

    duplicate_detection: Literal["on", "off", "unknown"]
    duplicate_window: datetime.timedelta | None = None
    requires_session: bool | None = None
    """Of a queue; a topic's subscriptions have it each for itself. None: unknown."""
    unknown_because: str = ""


def inspect(administration: ServiceBusAdministrationClient, entity: str, kind: EntityKind) -> Inspected:
    """One question to the administration endpoint. Never raises for what it may not or can't read."""
    try:
        if kind == "queue":
            queue = administration.get_queue(entity)
            return Inspected(
                _on_off(queue.requires_duplicate_detection),
                queue.duplicate_detection_history_time_window
                if isinstance(queue.duplicate_detection_history_time_window, datetime.timedelta)
                else None,
                bool(queue.requires_session),
            )
        topic = administration.get_topic(entity)
        return Inspected(
            _on_off(topic.requires_duplicate_detection),
            topic.duplicate_detection_history_time_window
            if isinstance(topic.duplicate_detection_history_time_window, datetime.timedelta)
            else None,
        )
    except ClientAuthenticationError:
        return Inspected("unknown", unknown_because="needs Manage")
    except ResourceNotFoundError:
        return Inspected("unknown", unknown_because="not found at the administration endpoint")
    except HttpResponseError as error:
        because = "needs Manage" if error.status_code in (401, 403) else reason(error)
        return Inspected("unknown", unknown_because=because)
    except AzureError as error:
        return Inspected("unknown", unknown_because=reason(error))


def _on_off(flag: bool | None) -> Literal["on", "off", "unknown"]:
    return "unknown" if flag is None else "on" if flag else "off"
