"""Renews forwarding to an entity that was re-created.

Service Bus tracks a forwarding target by an internal id. Forwarding that was set up before Microsoft fixed this stays
broken after the target was re-created, until any property of the source is updated (azure-service-bus, issue 693).
azure-native and the attached provider send no update, because the target's name is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from dstream.infra import RunProgram, Step
from dstream_servicebus.entities.ids import QUEUE_ID, SUBSCRIPTION_ID

if TYPE_CHECKING:
    from azure.servicebus.management import ServiceBusAdministrationClient

_FORWARDS = ("forwardTo", "forwardDeadLetteredMessagesTo")
_NOT_PROPERTIES = frozenset(
    {"resourceGroupName", "namespaceName", "queueName", "topicName", "subscriptionName", "azureApiVersion"}
)
_MARK = " (forwarding renewed)"
"""Added to the note of the entity for a moment."""


def renewed_in_azure(steps: Sequence[Step], run: RunProgram, environ: Mapping[str, str]) -> Collection[str]:
    """Update the steps' resources that forward, and return their URNs. Raises AzureError and others."""
    sources = _sources(steps)
    if not sources:
        return ()
    from dstream_servicebus.infrastructure.azure_manager import connected

    manager = connected(run, environ)
    for each in sources:
        # What azure-native would send: Standard refuses some of the properties that it returns, such as message sizes.
        properties = {name: value for name, value in each.inputs.items() if name not in _NOT_PROPERTIES}
        note = properties.get("userMetadata") or ""
        for written in (_marked(note), note):
            manager.put(each.id, {"properties": {**properties, "userMetadata": written}})
    return [each.urn for each in sources]


def renewed_entities(
    steps: Sequence[Step], administration: Callable[[], ServiceBusAdministrationClient]
) -> Collection[str]:
    """The same through the administration endpoint."""
    sources = _sources(steps)
    if not sources:
        return ()
    with administration() as client:
        for each in sources:
            _renew(client, each)
    return [each.urn for each in sources]


def _renew(client: ServiceBusAdministrationClient, source: Step) -> None:
    if source.type.endswith(":Queue"):
        queue = client.get_queue(*QUEUE_ID.keys_of(source.id))
        note = queue.user_metadata
        for queue.user_metadata in (_marked(note), note):
            client.update_queue(queue)
        return
    topic, name = SUBSCRIPTION_ID.keys_of(source.id)
    subscription = client.get_subscription(topic, name)
    note = subscription.user_metadata
    for subscription.user_metadata in (_marked(note), note):
        client.update_subscription(topic, subscription)


def _sources(steps: Sequence[Step]) -> list[Step]:
    return [each for each in steps if any(change.path in _FORWARDS for change in each.diff)]


def _marked(note: str | None) -> str:
    return (note or "")[: 1024 - len(_MARK)] + _MARK
