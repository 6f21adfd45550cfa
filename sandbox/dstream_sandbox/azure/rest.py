"""A part of ARM's REST API: lists of what a resource group, a namespace or a topic contains; GET and PUT of queues,
subscriptions and container apps. Clients find it through ARM_METADATA_HOSTNAME, as in Azure's own clouds.

Paths and responses: REST reference, "Resources - List By Resource Group", "Queues - List By Namespace", "Topics - List
By Namespace", "Subscriptions - List By Topic"; metadata: version 2022-09-01, as azure-native reads it
(provider/pkg/azure/cloud/metadata/client.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from dstream_sandbox.azure.cloud import Cloud
from dstream_sandbox.azure.errors import AzureError, group_not_found, not_found
from dstream_sandbox.azure.handler import Handler
from dstream_sandbox.azure.ids import Place, place_of, place_of_id
from dstream_sandbox.azure.network import endpoints_in
from dstream_sandbox.azure.resource_types import TYPES, ResourceType
from dstream_sandbox.azure.stored import stored_in
from dstream_sandbox.control_access import has_token
from dstream_sandbox.folder import ARM_PATH
from dstream_sandbox.servicebus.admin.http import Request, Response

__all__ = ["PREFIX", "ArmRest"]

PREFIX = ARM_PATH
_PAGE = 100
_NAMESPACE = TYPES["azure-native:servicebus:Namespace"]
_QUEUE = TYPES["azure-native:servicebus:Queue"]
_TOPIC = TYPES["azure-native:servicebus:Topic"]
_APP = TYPES["azure-native:app:ContainerApp"]
_SUBSCRIPTION = TYPES["azure-native:servicebus:Subscription"]
_GROUP_PATH = r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
_NAMESPACE_PATH = _GROUP_PATH + r"/providers/Microsoft\.ServiceBus/namespaces/(?P<namespace>[^/]+)"
_LISTS = {
    "resources": re.compile(_GROUP_PATH + "/resources", re.IGNORECASE),
    "queues": re.compile(_NAMESPACE_PATH + "/queues", re.IGNORECASE),
    "topics": re.compile(_NAMESPACE_PATH + "/topics", re.IGNORECASE),
    "subscriptions": re.compile(_NAMESPACE_PATH + "/topics/(?P<topic>[^/]+)/subscriptions", re.IGNORECASE),
}


class ArmRest:
    """Answers the requests below `PREFIX`."""

    def __init__(self, cloud: Cloud, handlers: Mapping[str, Handler], token: str) -> None:
        self._cloud = cloud
        self._token = token
        self._handlers = handlers

    async def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(PREFIX)
        base = f"{request.scheme}://{request.host}{PREFIX}"
        if path == "/metadata/endpoints":
            return _json(200, {"name": "Sandbox", "resourceManager": base})
        try:
            if not has_token(request.headers, self._token):
                raise AzureError(401, "InvalidAuthenticationToken", "The access token is invalid.")
            if place := _entity_at(path):
                return _json(200, await self._entity(request, place))
            found = list(self._listed(request.method, path))
        except AzureError as error:
            return _json(error.status, {"error": {"code": error.code, "message": str(error)}})
        start = int(request.query.get("$skip", "0"))
        page: dict[str, object] = {"value": found[start : start + _PAGE]}
        if start + _PAGE < len(found):
            page["nextLink"] = f"{base}{path}?api-version={request.query.get('api-version')}&$skip={start + _PAGE}"
        return _json(200, page)

    async def _entity(self, request: Request, place: Place) -> dict[str, object]:
        """GET or PUT of a queue, subscription or container app."""
        handler = self._handlers[place.type.token]
        if handler.read(place) is None:
            raise not_found(place.type.arm_type, place.name, place.group)
        if request.method == "PUT":
            known = {each.name for each in place.type.properties}
            given = json.loads(request.body).get("properties", {})
            settings = {name: value for name, value in given.items() if name in known and value is not None}
            await handler.update(place, {**place.names, **settings})
        return self._item(place.type, place.subscription, place.names)

    def _listed(self, method: str, path: str) -> Iterator[dict[str, object]]:
        for kind, pattern in _LISTS.items():
            match = pattern.fullmatch(path)
            if match and method == "GET":
                return self._list(kind, match["subscription"], match.groupdict())
        raise AzureError(404, "InvalidResourceType", f"The sandbox does not serve {method} {path}.")

    def _list(self, kind: str, subscription: str, names: Mapping[str, str]) -> Iterator[dict[str, object]]:
        if self._cloud.records.group(names["group"]) is None:
            raise group_not_found(names["group"])
        own = {"resourceGroupName": names["group"]}
        if kind == "resources":
            for each in self._cloud.records.namespaces.values():
                if each.group.lower() == names["group"].lower():
                    yield self._item(_NAMESPACE, subscription, {**own, "namespaceName": each.name})
            yield from endpoints_in(self._cloud.records, names["group"])
            yield from stored_in(self._cloud.records, names["group"])
            return
        own["namespaceName"] = names["namespace"]
        entities = self._cloud.running(place_of(_NAMESPACE, subscription, own)).broker.entities
        if kind == "queues":
            for queue in entities.namespace.queues.values():
                yield self._item(_QUEUE, subscription, {**own, "queueName": queue.name})
        elif kind == "topics":
            for topic in entities.namespace.topics.values():
                yield self._item(_TOPIC, subscription, {**own, "topicName": topic.name})
        else:
            parent = entities.namespace.topics.get(names["topic"].lower())
            for each_ in parent.subscriptions.values() if parent else ():
                path = {**own, "topicName": names["topic"], "subscriptionName": each_.name}
                yield self._item(_SUBSCRIPTION, subscription, path)

    def _item(self, kind: ResourceType, subscription: str, names: Mapping[str, str]) -> dict[str, object]:
        place: Place = place_of(kind, subscription, names)
        found = self._handlers[kind.token].read(place)
        item: dict[str, object] = {"id": place.id, "name": place.name, "type": kind.arm_type}
        if kind is _NAMESPACE:  # this list has no properties
            return item
        return {**item, "properties": {**found.settings, **found.outputs} if found else {}}


def _json(status: int, content: object) -> Response:
    return Response(status, json.dumps(content).encode(), "application/json")


def _entity_at(path: str) -> Place | None:
    return next((place for kind in (_QUEUE, _SUBSCRIPTION, _APP) if (place := place_of_id(kind, path))), None)
