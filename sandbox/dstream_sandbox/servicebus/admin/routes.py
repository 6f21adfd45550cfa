"""Handles the requests to the admin endpoint.

Paths and methods: REST reference "Service Bus", entities as Atom feeds (`/$Resources/queues`, `/{topic}/subscriptions`,
..); an update is a PUT with `If-Match`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from dstream_sandbox.control_access import NO_TOKEN, has_token, web_page_refusal
from dstream_sandbox.servicebus.access import AccessDenied, KeyRing
from dstream_sandbox.servicebus.admin.atom import (
    Entry,
    content_of,
    empty_feed,
    entry_document,
    error_document,
    feed_document,
)
from dstream_sandbox.servicebus.admin.entries import Address, entity_entry, namespace_entry, rule_entry
from dstream_sandbox.servicebus.admin.fields import QUEUE, SUBSCRIPTION, TOPIC, read_description
from dstream_sandbox.servicebus.admin.http import Handler, Request, Response
from dstream_sandbox.servicebus.admin.names import SB
from dstream_sandbox.servicebus.admin.rules import read_rule
from dstream_sandbox.servicebus.broker import EntityExists, EntityInvalid, EntityMissing, LocalBroker
from dstream_sandbox.servicebus.broker.descriptions import (
    QueueDescription,
    RuleDescription,
    SubscriptionDescription,
    TopicDescription,
)
from dstream_sandbox.servicebus.broker.namespace import Node
from dstream_sandbox.servicebus.core import AmqpError

__all__ = ["AdminRoutes", "Control"]


@dataclass(frozen=True, slots=True)
class Control:
    """Handles the requests below `/_sandbox/` that have the token."""

    handle: Callable[[str, str, bytes], tuple[int, bytes]]
    """Takes method, path and body; returns the status and JSON."""
    token: str


_PAGE = 100
_SUBSCRIPTION_PATH = re.compile(
    r"(?P<topic>.+?)/subscriptions(?:/(?P<subscription>[^/]+)(?:/rules(?:/(?P<rule>[^/]+))?)?)?", re.I
)


class AdminRoutes:
    def __init__(self, namespace: str, broker: LocalBroker, keys: KeyRing, control: Control | None) -> None:
        self._namespace = namespace
        self._broker = broker
        self._keys = keys
        self._control = control
        self.others: dict[str, Handler] = {}
        """Handlers of other requests, by the beginning of their path."""
        self._opened_at = broker.clock()

    async def answer(self, request: Request) -> Response:
        """Implements http.Handler."""
        if reason := web_page_refusal(request.headers):
            return self._error(403, reason)
        if request.path == "/health":
            return Response(200, b'{"status":"healthy"}', "application/json")
        for prefix, handler in self.others.items():
            if request.path.startswith(f"{prefix}/"):
                return await handler(request)
        if request.path.startswith("/_sandbox/") and self._control is not None:
            if not has_token(request.headers, self._control.token):
                return Response(*NO_TOKEN, "application/json")
            status, body = self._control.handle(request.method, request.path, request.body)
            return Response(status, body, "application/json")
        try:
            self._authorize(request)
            return await self._entities(request)
        except AccessDenied as exc:
            return self._error(401, f"SubCode=40100. Unauthorized. {exc}")
        except EntityMissing as exc:
            return self._error(404, str(exc))
        except EntityExists as exc:
            return self._error(409, str(exc))
        except EntityInvalid as exc:
            return self._error(400, str(exc))
        except AmqpError as exc:  # the store cannot write
            return self._error(500, f"SubCode=50000. {exc.description}")

    def _authorize(self, request: Request) -> None:
        """Raise AccessDenied unless the request has the Manage right, which managing entities requires."""
        token = request.headers.get("authorization", "")
        if not token:
            raise AccessDenied("MissingToken: The request has no Authorization header.")
        now = self._broker.clock()
        grant = self._keys.check_token(token, request.path, now)
        if not grant.allows(grant.path, "Manage", now):
            raise AccessDenied("InvalidClaims: The Manage right is required.")

    async def _entities(self, request: Request) -> Response:
        version = request.query.get("api-version", "2021-05")
        address = Address(self._namespace, request.scheme, request.host, version)
        path = request.path.strip("/")
        low = path.lower()
        if low == "$namespaceinfo":
            return Response(
                200, entry_document(namespace_entry(address, self._broker.profile.title(), self._opened_at))
            )
        if low in ("$resources/queues", "$resources/topics"):
            namespace = self._broker.entities.namespace
            nodes: Iterable[Node] = namespace.queues.values() if low.endswith("queues") else namespace.topics.values()
            return self._page(request, address, path, [entity_entry(n, address) for n in _by_name(nodes)])
        match = _SUBSCRIPTION_PATH.fullmatch(path)
        if match is None:
            return await self._queue_or_topic(request, address, path)
        topic, subscription, rule = match["topic"], match["subscription"], match["rule"]
        if subscription is None:
            nodes = self._broker.entities.topic(topic).subscriptions.values()
            return self._page(request, address, path, [entity_entry(n, address) for n in _by_name(nodes)])
        if low.endswith("/rules") and rule is None:
            node = self._broker.entities.subscription(topic, subscription)
            rules = sorted((r.description for r in node.rules.values()), key=lambda r: r.name.lower())
            return self._page(request, address, path, [rule_entry(node, r, address) for r in rules])
        if rule is None:
            return await self._subscription(request, address, topic, subscription)
        return await self._rule(request, address, topic, subscription, rule)

    async def _queue_or_topic(self, request: Request, address: Address, path: str) -> Response:
        entities = self._broker.entities
        node = entities.namespace.queues.get(path.lower()) or entities.namespace.topics.get(path.lower())
        if request.method == "GET":
            return self._one(entity_entry(node, address) if node else None)
        if request.method == "DELETE":
            is_topic = path.lower() in entities.namespace.topics
            await (entities.delete_topic(path) if is_topic else entities.delete_queue(path))
            return Response(200)
        if request.method != "PUT":
            return self._not_allowed(request)
        element = content_of(request.body)
        if _is(element, "QueueDescription"):
            if _is_update(request):
                queue = read_description(QUEUE, element, entities.queue(path).description)
                return Response(200, entry_document(entity_entry(await entities.update_queue(path, queue), address)))
            queue = read_description(QUEUE, element, QueueDescription())
            return Response(201, entry_document(entity_entry(await entities.create_queue(path, queue), address)))
        _need(element, "TopicDescription")
        if _is_update(request):
            topic = read_description(TOPIC, element, entities.topic(path).description)
            return Response(200, entry_document(entity_entry(await entities.update_topic(path, topic), address)))
        topic = read_description(TOPIC, element, TopicDescription())
        return Response(201, entry_document(entity_entry(await entities.create_topic(path, topic), address)))

    async def _subscription(self, request: Request, address: Address, topic: str, name: str) -> Response:
        entities = self._broker.entities
        if request.method == "GET":
            node = entities.topic(topic).subscriptions.get(name.lower())
            return self._one(entity_entry(node, address) if node else None)
        if request.method == "DELETE":
            await entities.delete_subscription(topic, name)
            return Response(200)
        if request.method != "PUT":
            return self._not_allowed(request)
        element = content_of(request.body)
        _need(element, "SubscriptionDescription")
        if _is_update(request):
            found = entities.subscription(topic, name).description
            node = await entities.update_subscription(topic, name, read_description(SUBSCRIPTION, element, found))
            return Response(200, entry_document(entity_entry(node, address)))
        default = element.find(f"{{{SB}}}DefaultRuleDescription")
        rule = read_rule(default) if default is not None else None
        description = read_description(SUBSCRIPTION, element, SubscriptionDescription())
        node = await entities.create_subscription(topic, name, description, rule)
        return Response(201, entry_document(entity_entry(node, address)))

    async def _rule(self, request: Request, address: Address, topic: str, subscription: str, name: str) -> Response:
        entities = self._broker.entities
        node = entities.subscription(topic, subscription)
        if request.method == "GET":
            found = node.rules.get(name.lower())
            return self._one(rule_entry(node, found.description, address) if found else None)
        if request.method == "DELETE":
            await entities.delete_rule(topic, subscription, name)
            return Response(200)
        if request.method != "PUT":
            return self._not_allowed(request)
        element = content_of(request.body)
        _need(element, "RuleDescription")
        rule: RuleDescription = read_rule(element, name)
        if _is_update(request):
            rule = await entities.update_rule(topic, subscription, rule)
            return Response(200, entry_document(rule_entry(node, rule, address)))
        rule = await entities.create_rule(topic, subscription, rule)
        return Response(201, entry_document(rule_entry(node, rule, address)))

    def _one(self, entry: Entry | None) -> Response:
        if entry is not None:
            return Response(200, entry_document(entry))
        return Response(200, empty_feed(self._broker.clock()), "application/atom+xml;type=feed;charset=utf-8")

    def _page(self, request: Request, address: Address, path: str, entries: Sequence[Entry]) -> Response:
        if request.method != "GET":
            return self._not_allowed(request)
        page = _Page.of(request)
        chosen = entries[page.skip : page.skip + page.top]
        end = page.skip + page.top
        following = address.of(path, skip=end, top=page.top) if end < len(entries) else None
        title = path.rpartition("/")[2].title()
        url = address.of(path, skip=page.skip, top=page.top)
        body = feed_document(title, url, chosen, following, self._broker.clock())
        return Response(200, body, "application/atom+xml;type=feed;charset=utf-8")

    def _not_allowed(self, request: Request) -> Response:
        return self._error(405, f"SubCode=40500. {request.method} is not allowed on '{request.path}'.")

    def _error(self, status: int, detail: str) -> Response:
        return Response(status, error_document(status, detail, self._broker.clock()), "application/xml; charset=utf-8")


@dataclass(frozen=True, slots=True)
class _Page:
    skip: int
    top: int

    @classmethod
    def of(cls, request: Request) -> _Page:
        """Parse the query. Raises EntityInvalid."""
        try:
            page = cls(int(request.query.get("$skip", "0")), int(request.query.get("$top", str(_PAGE))))
        except ValueError as exc:
            raise EntityInvalid("SubCode=40000. $skip and $top must be numbers.") from exc
        if page.skip < 0 or not 0 < page.top <= _PAGE:
            raise EntityInvalid(f"SubCode=40000. $skip must not be negative, and $top is 1 to {_PAGE}.")
        return page


def _by_name(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda n: n.name.lower())


def _is_update(request: Request) -> bool:
    return "if-match" in request.headers


def _is(element: Element, tag: str) -> bool:
    return element.tag == f"{{{SB}}}{tag}"


def _need(element: Element, tag: str) -> None:
    if not _is(element, tag):
        raise EntityInvalid(f"SubCode=40000. Bad Request. The content must be a {tag}.")
