"""Lists what a resource group, a namespace or a topic contains, so that nothing of others is deleted unseen.

Azure deletes a container with everything in it. In mode `arm`, Azure Resource Manager lists the contents with
azure-native's own credentials (REST reference, "Resources - List By Resource Group", "Queues - List By Namespace",
"Topics - List By Namespace", "Subscriptions - List By Topic"). In mode `entities`, the administration endpoint lists a
topic's subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import HeadersPolicy, NetworkTraceLoggingPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.servicebus.management import ServiceBusAdministrationClient
from dstream_stacks import resource_ids as ids
from dstream_stacks.azure_cloud import manager_endpoint
from dstream_stacks.holdings import messages_held

from dstream.infra import Content, Contents, RunProgram, Step
from dstream_servicebus.retry import reason

_API_OF_GROUPS = "2021-04-01"
_API_OF_SERVICE_BUS = "2024-01-01"
_CONTAINERS = (ids.RESOURCE_GROUP, ids.NAMESPACE, ids.TOPIC)
_NAMESPACE_TYPE = "microsoft.servicebus/namespaces"


def contents_in_azure(steps: Sequence[Step], run: RunProgram, environ: Mapping[str, str]) -> Mapping[str, Contents]:
    """Return what the resource groups, namespaces and topics of these steps contain, by URN."""
    containers = [each for each in steps if _has_contents(each, steps)]
    if not containers:
        return {}
    try:
        token = run(_client_token)
        manager = _Manager(manager_endpoint(environ), token)
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


def _client_token() -> str:
    from pulumi_azure_native import authorization

    token: str = authorization.get_client_token().token
    return token


def _contents(manager: _Manager, container: Step) -> Contents:
    try:
        return Contents(tuple(manager.inside(container)))
    except (AzureError, LookupError, TypeError, ValueError) as error:
        return Contents(unknown=reason(error) if isinstance(error, AzureError) else f"unexpected response: {error!r}")


class _Manager:
    """Azure Resource Manager, read only."""

    def __init__(self, endpoint: str, token: str) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(
            endpoint,
            policies=[
                HeadersPolicy({"Authorization": f"Bearer {token}"}),
                RetryPolicy(retry_total=3),
                NetworkTraceLoggingPolicy(),
            ],
            connection_timeout=10,
            read_timeout=30,
        )
        self._endpoint = endpoint

    def inside(self, container: Step) -> Iterator[Content]:
        if container.type == ids.RESOURCE_GROUP:
            return self.in_group(container.id)
        return self.in_namespace(container.id) if container.type == ids.NAMESPACE else self.in_topic(container.id)

    def in_group(self, group_id: str) -> Iterator[Content]:
        for each in self._list(f"{group_id}/resources", _API_OF_GROUPS):
            if each["type"].lower() == _NAMESPACE_TYPE:
                yield Content(each["id"], "namespace", each["name"])
                yield from self.in_namespace(each["id"], f"{each['name']}/")
            else:
                yield Content(each["id"], each["type"], each["name"], None)

    def in_namespace(self, namespace_id: str, prefix: str = "") -> Iterator[Content]:
        for each in self._list(f"{namespace_id}/queues", _API_OF_SERVICE_BUS):
            yield _entity("Queue", prefix + each["name"], each)
        for each in self._list(f"{namespace_id}/topics", _API_OF_SERVICE_BUS):
            yield _entity("Topic", prefix + each["name"], each)
            yield from self.in_topic(each["id"], f"{prefix}{each['name']}/")

    def in_topic(self, topic_id: str, prefix: str = "") -> Iterator[Content]:
        for each in self._list(f"{topic_id}/subscriptions", _API_OF_SERVICE_BUS):
            yield _entity("Subscription", prefix + each["name"], each)

    def _list(self, resource_id: str, version: str) -> Iterator[dict[str, Any]]:
        url = f"{self._endpoint}{resource_id}?api-version={version}"
        while url:
            response = self._client.send_request(HttpRequest("GET", url))
            response.raise_for_status()
            page = response.json()
            yield from page["value"]
            url = page.get("nextLink") or ""


def _entity(kind: str, name: str, found: Mapping[str, Any]) -> Content:
    held = messages_held(f"azure-native:servicebus:{kind}", found["properties"])
    return Content(found["id"], kind.lower(), name, held)


def _subscriptions(administration: Callable[[], ServiceBusAdministrationClient], topic: str) -> Contents:
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
