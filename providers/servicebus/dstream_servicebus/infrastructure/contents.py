"""Lists what a resource group, a namespace or a topic contains, so that nothing of others is deleted unseen.

Azure deletes a container with everything in it. In mode `arm`, Azure Resource Manager lists the contents with
azure-native's own credentials (REST reference, "Resources - List By Resource Group", "Queues - List By Namespace",
"Topics - List By Namespace", "Subscriptions - List By Topic"). In mode `entities`, the administration endpoint lists a
topic's subscriptions. Imports azure only when there is something to list, because that takes 0.2 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dstream_stacks import resource_ids as ids
from dstream_stacks.holdings import messages_held

from dstream.infra import Content, Contents, RunProgram, Step

if TYPE_CHECKING:
    from azure.servicebus.management import ServiceBusAdministrationClient

    from dstream_servicebus.infrastructure.azure_manager import AzureManager

_API_OF_GROUPS = "2021-04-01"
_CONTAINERS = (ids.RESOURCE_GROUP, ids.NAMESPACE, ids.TOPIC)
_NAMESPACE_TYPE = "microsoft.servicebus/namespaces"
_ENDPOINT_TYPE = "microsoft.network/privateendpoints"
_INTERFACE_TYPE = "microsoft.network/networkinterfaces"


def contents_in_azure(steps: Sequence[Step], run: RunProgram, environ: Mapping[str, str]) -> Mapping[str, Contents]:
    """Return what the resource groups, namespaces and topics of these steps contain, by URN."""
    containers = [each for each in steps if _has_contents(each, steps)]
    if not containers:
        return {}
    from dstream_servicebus.infrastructure.azure_manager import connected

    try:
        manager = connected(run, environ)
    except Exception as error:  # noqa: BLE001 - whatever keeps us from looking, nothing may be deleted unseen
        return {each.urn: Contents(unknown=str(error)) for each in containers}
    return {each.urn: _contents(manager, each) for each in containers}


def contents_of_topics(
    steps: Sequence[Step], administration: Callable[[], ServiceBusAdministrationClient]
) -> Mapping[str, Contents]:
    """Return the subscriptions of the topics of these steps, by URN."""
    return {each.urn: _subscriptions(administration, each.name) for each in steps if each.type == ids.OWN_TOPIC}


def _has_contents(step: Step, steps: Sequence[Step]) -> bool:
    """Whether to list the contents: for a topic, only if it has more subscriptions than those in the plan."""
    if step.type != ids.TOPIC:
        return step.type in _CONTAINERS
    own = sum(each.type == ids.SUBSCRIPTION and each.name.startswith(f"{step.name}/") for each in steps)
    return step.outputs.get("subscriptionCount") != own


def _contents(manager: AzureManager, container: Step) -> Contents:
    from azure.core.exceptions import AzureError

    from dstream_servicebus.retry import reason

    try:
        return Contents(tuple(_inside(manager, container)))
    except (AzureError, LookupError, TypeError, ValueError) as error:
        return Contents(unknown=reason(error) if isinstance(error, AzureError) else f"unexpected response: {error!r}")


def _inside(manager: AzureManager, container: Step) -> Iterator[Content]:
    if container.type == ids.RESOURCE_GROUP:
        return _in_group(manager, container.id)
    if container.type == ids.NAMESPACE:
        return _in_namespace(manager, container.id)
    return _in_topic(manager, container.id)


def _in_group(manager: AzureManager, group_id: str) -> Iterator[Content]:
    found = list(manager.list(f"{group_id}/resources", _API_OF_GROUPS))
    endpoints = [each["name"].lower() for each in found if each["type"].lower() == _ENDPOINT_TYPE]
    for each in found:
        if each["type"].lower() == _INTERFACE_TYPE and each["name"].lower().partition(".nic.")[0] in endpoints:
            continue  # Azure creates and deletes it with its private endpoint
        if each["type"].lower() == _NAMESPACE_TYPE:
            yield Content(each["id"], "namespace", each["name"])
            yield from _in_namespace(manager, each["id"], f"{each['name']}/")
        else:
            yield Content(each["id"], each["type"], each["name"])


def _in_namespace(manager: AzureManager, namespace_id: str, prefix: str = "") -> Iterator[Content]:
    for each in manager.list(f"{namespace_id}/queues"):
        yield _entity("Queue", prefix + each["name"], each)
    for each in manager.list(f"{namespace_id}/topics"):
        yield _entity("Topic", prefix + each["name"], each)
        yield from _in_topic(manager, each["id"], f"{prefix}{each['name']}/")


def _in_topic(manager: AzureManager, topic_id: str, prefix: str = "") -> Iterator[Content]:
    for each in manager.list(f"{topic_id}/subscriptions"):
        yield _entity("Subscription", prefix + each["name"], each)


def _entity(kind: str, name: str, found: Mapping[str, Any]) -> Content:
    held = messages_held(f"azure-native:servicebus:{kind}", found["properties"])
    return Content(found["id"], kind.lower(), name, held)


def _subscriptions(administration: Callable[[], ServiceBusAdministrationClient], topic: str) -> Contents:
    from azure.core.exceptions import AzureError

    from dstream_servicebus.retry import reason

    try:
        with administration() as client:
            found = list(client.list_subscriptions_runtime_properties(topic))
    except AzureError as error:
        return Contents(unknown=reason(error))
    return Contents(
        tuple(
            Content(f"topic/{topic}/subscription/{each.name}", "subscription", each.name, each.total_message_count)
            for each in found
        )
    )
